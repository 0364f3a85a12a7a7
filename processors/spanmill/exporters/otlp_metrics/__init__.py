"""To their destinations over OTLP: what is derived here, as a snapshot in each interval."""
