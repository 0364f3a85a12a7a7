"""What processors of one's own cost."""
