"""To their destinations over OTLP: what was received, as the bytes that it came in."""
