"""OTLP metrics from bytes to data points."""
