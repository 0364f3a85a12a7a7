"""Which share of the spans keeps series of its own under a limit."""
