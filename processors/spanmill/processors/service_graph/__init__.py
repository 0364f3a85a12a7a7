"""Edges between services, paired from the two sides of each call."""

from spanmill.processors.service_graph.processor import ServiceGraph, ServiceGraphSettings

__all__ = ["ServiceGraph", "ServiceGraphSettings"]
