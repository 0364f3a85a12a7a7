"""Looking into a state directory, and taking records out of it."""
