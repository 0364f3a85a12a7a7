"""Span names as label values: what varies in them becomes placeholders."""

from spanmill.series.names.span_names import SpanNames, Step

__all__ = ["SpanNames", "Step"]
