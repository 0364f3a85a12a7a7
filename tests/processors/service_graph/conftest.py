"""Every test of the service graph runs with the kernels and with the reference."""

from __future__ import annotations

from kernel_choice import kernel_or_reference

joining = kernel_or_reference(
    "spanmill.processors.service_graph._columns", "spanmill.processors.service_graph._pairing"
)
