"""Traces to their destinations over OTLP, as the bytes that were received."""
