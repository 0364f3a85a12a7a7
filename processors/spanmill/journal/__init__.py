"""Records in order, and the positions of those who read them."""
