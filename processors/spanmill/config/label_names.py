"""Prometheus label names made from attribute keys."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_OUTSIDE: Final = re.compile(r"[^a-zA-Z0-9_]")

_OWN: Final = "span metrics carry a label of that name already"

RESERVED_LABELS: Final = MappingProxyType(
    {
        "le": "Prometheus keeps it for the bounds of histograms",
        "quantile": "Prometheus keeps it for the quantiles of summaries",
        "job": "Prometheus sets it on every scraped series",
        "instance": "Prometheus sets it on every scraped series",
        "otel_metric_overflow": "it marks the series that takes what is over the limit",
        "service": _OWN,
        "service_name": _OWN,
        "span_name": _OWN,
        "span_kind": _OWN,
        "status_code": _OWN,
        "status_message": _OWN,
    }
)
"""Labels that no dimension may become, each with the reason."""


def label_name(attribute_key: str) -> str:
    """The label of an attribute: each character outside [a-zA-Z0-9_] becomes `_`.

    A leading digit gets `_` in front. Any key, even an empty one, gives a valid label name.
    """
    name = _OUTSIDE.sub("_", attribute_key)
    return name if name and not name[0].isdigit() else f"_{name}"


def reserved_because(label: str) -> str | None:
    """Why no dimension may become `label`; None where it may."""
    if label.startswith("__"):
        return "Prometheus keeps names that begin with two underscores"
    return RESERVED_LABELS.get(label)
