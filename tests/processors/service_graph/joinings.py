"""The kernels of the service graph, by their names."""

from __future__ import annotations

KERNELS = (
    "spanmill.processors.service_graph._columns",
    "spanmill.processors.service_graph._pairing",
)
