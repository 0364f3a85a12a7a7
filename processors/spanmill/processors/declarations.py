"""What a metric may be called, and which labels and buckets it may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from spanmill.errors import DeclarationError
from spanmill.series.snapshot import Family, FamilyType

MAX_LABELS: Final = 32
MAX_BUCKETS: Final = 200

_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UNIT: Final = re.compile(r"[a-z][a-z0-9_]*")
_OWN: Final = {
    "spanmill_": "spanmill's own",
    "process_": "those of the process itself",
}
_RESERVED: Final = {
    "le": "Prometheus keeps it for the bounds of histograms",
    "quantile": "Prometheus keeps it for the quantiles of summaries",
    "job": "Prometheus sets it on every scraped series",
    "instance": "Prometheus sets it on every scraped series",
    "otel_metric_overflow": "it marks the series that takes what is over the limit",
}


def family(name: str, kind: FamilyType, text: str, unit: str) -> Family:
    """A family with a name that every format can show; DeclarationError says what to change."""
    if not isinstance(name, str) or _METRIC.fullmatch(name) is None:
        raise DeclarationError(
            f"{name!r} is no metric name: letters, digits and _ only, and no digit first"
        )
    for prefix, whose in _OWN.items():
        if name.startswith(prefix):
            raise DeclarationError(f"{name}: names that begin with {prefix} are {whose}")
    if not isinstance(text, str) or not text.strip():
        raise DeclarationError(f"{name} needs a help text: one sentence that says what it counts")
    if unit and _UNIT.fullmatch(unit) is None:
        raise DeclarationError(f"{name}: {unit!r} is no unit; write it as in seconds or bytes")
    bare = name.removesuffix("_total") if kind == "counter" else name
    wanted = bare if not unit or bare.endswith(f"_{unit}") else f"{bare}_{unit}"
    if kind == "counter":
        wanted = f"{wanted}_total"
    elif name.endswith("_total"):
        raise DeclarationError(f"{name}: only a counter's name ends in _total, this is a {kind}")
    if name != wanted:
        if kind == "counter":
            rule = f"a counter's name ends in {'its unit and ' if unit else ''}_total"
        else:
            rule = "a metric's name ends in its unit"
        raise DeclarationError(f"{name} should be called {wanted}: {rule}")
    return Family(name, kind, text, unit)


def label_names(metric: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The names of a metric's labels; DeclarationError says which can't be and why."""
    if isinstance(labels, str):
        raise DeclarationError(
            f"{metric}: labels must be a tuple of names; for one label write ({labels!r},)"
        )
    if len(labels) > MAX_LABELS:
        raise DeclarationError(f"{metric} has {len(labels)} labels; at most {MAX_LABELS} go")
    for label in labels:
        if not isinstance(label, str) or _LABEL.fullmatch(label) is None:
            raise DeclarationError(
                f"{metric}: {label!r} is no label name: letters, digits and _ only, and no digit "
                "first"
            )
        if label.startswith("__"):
            raise DeclarationError(
                f"{metric}: {label!r} can't be a label: Prometheus keeps names that begin with "
                "two underscores"
            )
        if label in _RESERVED:
            raise DeclarationError(f"{metric}: {label!r} can't be a label: {_RESERVED[label]}")
        if list(labels).count(label) > 1:
            raise DeclarationError(f"{metric} has the label {label!r} twice")
    return tuple(labels)


def bucket_bounds(metric: str, buckets: Sequence[float], unit_ns: int) -> tuple[int, ...]:
    """Bounds in the metric's unit as whole numbers, nanoseconds for seconds."""
    bounds = tuple(round(bound * unit_ns) for bound in buckets)
    if not 1 <= len(bounds) <= MAX_BUCKETS:
        raise DeclarationError(f"{metric} needs 1 to {MAX_BUCKETS} buckets; +Inf is always there")
    if bounds[0] < 0 or any(lower >= upper for lower, upper in pairwise(bounds)):
        raise DeclarationError(f"{metric}: buckets must be 0 or more, and ascend: {buckets}")
    return bounds
