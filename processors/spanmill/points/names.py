"""OpenTelemetry's metric names, units and attribute keys in Prometheus's words.

Sources: OpenTelemetry's specification 1.38, "Prometheus and OpenMetrics Compatibility"; where it
leaves a choice as prometheus/otlptranslator 1.0 chooses (strategy UnderscoreEscapingWithSuffixes),
so that a metric has one name whether it is scraped here or pushed to Prometheus over OTLP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from spanmill.points.batch import Metric
from spanmill.points.digest import short_digest

FamilyKind = Literal["counter", "gauge", "histogram", "summary", "unknown"]

_UNITS: Final[Mapping[str, str]] = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER_UNITS: Final[Mapping[str, str]] = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}
_NO_NAME_CHARACTER: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL_CHARACTER: Final = re.compile(r"[^a-zA-Z0-9_]")
_DIGITS: Final = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class TranslatedName:
    """A metric's name and unit for Prometheus; the unit is empty where the name lacks it."""

    name: str
    unit: str


def family_kind(metric: Metric) -> FamilyKind:
    """The type of the metric in Prometheus; a sum that can fall is a gauge."""
    if metric.type == "sum":
        return "counter" if metric.monotonic else "gauge"
    if metric.type == "gauge":
        names = metric.metadata
        unknown = ("prometheus.type", "unknown") in zip(names[::2], names[1::2], strict=True)
        return "unknown" if unknown else "gauge"
    return "summary" if metric.type == "summary" else "histogram"


def translated_name(metric: Metric) -> TranslatedName | None:
    """The metric's name with the suffixes of its unit and type.

    None where nothing of the name could be kept.
    """
    tokens = [token for token in _NO_NAME_CHARACTER.split(metric.name) if token]
    unit = _unit_tokens(metric.unit)
    for token in _unit_suffixes(tokens, metric.unit):
        tokens.append(token)
    if metric.type == "sum" and metric.monotonic:
        tokens = [*(token for token in tokens if token != "total"), "total"]
    if metric.unit == "1" and metric.type == "gauge":
        tokens = [*(token for token in tokens if token != "ratio"), "ratio"]
        unit = "ratio"
    name = "_".join(tokens)
    if not name or not name.strip("_"):
        return None
    if name[0] in _DIGITS:
        name = f"_{name}"
    bare = name.removesuffix("_total") if metric.type == "sum" and metric.monotonic else name
    return TranslatedName(name, unit if unit and bare.endswith(f"_{unit}") else "")


def unit_name(unit: str) -> str:
    """A unit in Prometheus's words: "By/s" is "bytes_per_second", "{call}" and "1" are nothing."""
    return _unit_tokens(unit)


def label_name(key: str) -> str:
    """An attribute's key as a label's name.

    As Prometheus's OTLP receiver makes it by default: `_` for each other character, and `key` in
    front of one `_`. Two `_` in front get it too, since OpenMetrics keeps such names for itself.
    A key of several characters, or none, of which nothing can be kept is called by its digest:
    that receiver refuses it.
    """
    name = _NO_LABEL_CHARACTER.sub("_", key)
    if name != "_" and not name.strip("_"):
        return f"key_{short_digest(key)}"
    if name[0] == "_":
        return f"key{name}"
    return f"key_{name}" if name[0] in _DIGITS else name


def _unit_tokens(unit: str) -> str:
    return "_".join(part for part in _parts(unit) if part).strip("_")


def _parts(unit: str) -> tuple[str, str]:
    """The unit, and what it is per, both in Prometheus's words; parts in braces are dropped."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    main = "" if "{" in main or "}" in main else _UNITS.get(main, main)
    per = "" if "{" in per or "}" in per else _PER_UNITS.get(per, per)
    return _cleaned(main), _cleaned(f"per_{per}" if per else "")


def _cleaned(unit: str) -> str:
    return _NO_NAME_CHARACTER.sub("_", unit).removeprefix("_")


def _unit_suffixes(tokens: list[str], unit: str) -> list[str]:
    """What the name lacks of its unit."""
    main, per = _parts(unit)
    if main in tokens:
        main = ""
    per = "" if per == "per_" else per.removesuffix("_")
    if per in tokens:
        per = ""
    if per:
        main = main.removesuffix("_")
    return [token for token in (main, per) if token]
