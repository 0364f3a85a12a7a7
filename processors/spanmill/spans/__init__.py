"""OTLP spans: bytes to columns."""
