"""What exemplars cost."""
