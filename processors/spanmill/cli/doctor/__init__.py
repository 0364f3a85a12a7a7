"""`spanmill doctor`: whether a running spanmill is well, and what to do where it isn't."""
