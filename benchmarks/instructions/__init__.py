"""Instructions that the kernels execute, a span or a series: the same on a noisy machine."""
