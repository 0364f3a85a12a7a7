"""A small shop, its traffic, and the processor's metrics of it, live in the terminal."""
