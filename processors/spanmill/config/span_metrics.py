"""What is derived from spans: dimensions, dialects, limits and bounds."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from spanmill.config.durations import format_duration
from spanmill.config.label_names import label_name, reserved_because
from spanmill.config.section import Section
from spanmill.config.span_names import NameRules
from spanmill.config.value_types import Count, Flag, Nanoseconds, Seconds

Dialect = Literal["tempo", "otel"]

_MILLISECOND: Final = 1_000_000

_TEMPO_BOUNDS: Final = tuple(2 * _MILLISECOND << power for power in range(14))
_OTEL_BOUNDS: Final = tuple(
    milliseconds * _MILLISECOND
    for milliseconds in (
        *(2, 4, 6, 8, 10, 50, 100, 200, 400, 800),
        *(1000, 1400, 2000, 5000, 10_000, 15_000),
    )
)


def _become_labels(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse keys that can't be labels beside each other and beside those that are there."""
    taken: dict[str, str] = {}
    wrong = []
    for key in keys:
        label = label_name(key)
        reason = reserved_because(label)
        if not key.strip():
            wrong.append("an attribute key can't be empty")
        elif reason is not None:
            wrong.append(f"{key!r} would be the label {label}, which is reserved: {reason}")
        elif taken.get(label) == key:
            wrong.append(f"{key!r} is given twice")
        elif label in taken:
            wrong.append(f"{taken[label]!r} and {key!r} would both be the label {label}")
        taken.setdefault(label, key)
    if wrong:
        raise ValueError("; ".join(dict.fromkeys(wrong)))
    return keys


def _ascend(bounds: tuple[int, ...]) -> tuple[int, ...]:
    for lower, upper in pairwise(bounds):
        if lower >= upper:
            raise ValueError(
                f"bounds must ascend: {format_duration(upper)} follows {format_duration(lower)}"
            )
    return bounds


def _differ(dialects: tuple[Dialect, ...]) -> tuple[Dialect, ...]:
    if len(set(dialects)) < len(dialects):
        raise ValueError("a dialect is given twice")
    return dialects


Bounds = Annotated[tuple[Nanoseconds, ...], Field(min_length=1), AfterValidator(_ascend)]
"""Upper bounds of classic buckets in nanoseconds, ascending; +Inf is added to them."""


class BucketsConfig(Section):
    """Upper bounds of the classic histograms' buckets; the one for +Inf is always there."""

    tempo: Bounds = Field(default=_TEMPO_BOUNDS, description="Bounds of the `tempo` dialect.")
    otel: Bounds = Field(default=_OTEL_BOUNDS, description="Bounds of the `otel` dialect.")


class SpanMetricsConfig(Section):
    """What is derived from spans."""

    dimensions: Annotated[tuple[str, ...], AfterValidator(_become_labels)] = Field(
        default=("http.route",),
        description="Attributes that become labels, looked up in the span, then in its resource.",
    )
    status_message: Flag = Field(
        default=False,
        description="Adds the label `status_message` to errors. Messages are often unique: mind "
        "`max_series`.",
    )
    target_info: Flag = Field(
        default=True,
        description="Shows the attributes of resources in `traces_target_info`, and adds the label "
        "`job` that joins it to the span metrics.",
    )
    instance_label: Flag = Field(
        default=False,
        description="Adds the label `instance` to the span metrics: as many series more as a "
        "service has instances.",
    )
    dialects: Annotated[tuple[Dialect, ...], Field(min_length=1), AfterValidator(_differ)] = Field(
        default=("tempo", "otel"),
        description="Names and labels to emit: those of Tempo, those of the Collector, or both.",
    )
    max_series: Count = Field(
        default=20_000,
        description="Label sets kept at once; spans of further ones count in an overflow series.",
    )
    idle_timeout: Seconds = Field(
        default=15 * 60.0,
        description="How long a label set stays without a span; longer than scrapes are apart.",
    )
    normalize_span_names: Flag = Field(
        default=True,
        description="Replaces ids, numbers and the like in span names by placeholders.",
    )
    name_rules: NameRules = Field(
        default=(), description="Replacements in span names, tried before the built-in ones."
    )
    buckets: BucketsConfig = Field(
        default=BucketsConfig(), description="Bounds of the classic histograms."
    )
