"""What the service graph costs a span, and what a remembered one takes in memory."""
