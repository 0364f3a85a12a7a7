"""Families as bytes, in the three formats that Prometheus scrapes."""

from spanmill.exporters.exposition.compiled import load_renderer
from spanmill.exporters.exposition.formats import Format, render
from spanmill.exporters.exposition.negotiation import accepts_gzip, negotiate

__all__ = ["Format", "accepts_gzip", "load_renderer", "negotiate", "render"]
