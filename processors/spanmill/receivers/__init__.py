"""OTLP in, the answer out."""
