"""What a span costs in either decoder."""
