"""What a series costs: memory, and time a span."""
