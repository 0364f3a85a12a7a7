"""Durations as text: `15m`, `500ms`, `1h30m`."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from typing import Final

_UNITS: Final = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ns": 1,
}
"""Nanoseconds of each unit, largest first; `µ` exists twice in Unicode."""

DURATION_PATTERN: Final = r"^(?:[0-9]{1,19}(?:\.[0-9]{1,19})?(?:d|h|m|s|ms|us|µs|μs|ns))+$"
"""The form, as Python and as JSON Schema read it: numbers with units."""

_FORM: Final = re.compile(DURATION_PATTERN)
_PART: Final = re.compile(r"([0-9.]+)([a-zµμ]+)")

_MAX_NANOSECONDS: Final = 100 * 365 * _UNITS["d"]
_SHOWN: Final = ("d", "h", "m", "s", "ms", "us", "ns")

NANOSECONDS_A_SECOND: Final = _UNITS["s"]


def parse_duration(text: str) -> int:
    """Nanoseconds, exactly, of numbers with units, the largest unit first.

    Raises ValueError with the whole sentence: no unit, an unknown one, no whole number of
    nanoseconds, over 100 years.
    """
    if re.fullmatch(r"[+-]?[0-9.]{1,40}", text):
        raise ValueError(unit_missing(text))
    parts = [(Fraction(number), _UNITS[unit]) for number, unit in _parts(text)]
    if not parts or any(unit <= smaller for (_, unit), (_, smaller) in pairwise(parts)):
        raise ValueError(
            f"{text[:40]!r} is no duration: write numbers with d, h, m, s, ms, us or ns, "
            "the largest unit first, such as 1h30m"
        )
    exact = sum(number * unit for number, unit in parts)
    if exact > _MAX_NANOSECONDS:
        raise ValueError(f"{text!r} is longer than 100 years")
    if exact != int(exact):
        raise ValueError(f"{text!r} is finer than a nanosecond")
    return int(exact)


def _parts(text: str) -> list[tuple[str, str]]:
    """The numbers with their units; none where the text has another form."""
    return _PART.findall(text) if _FORM.fullmatch(text) else []


def unit_missing(number: object) -> str:
    """What is wrong with a bare number where a duration belongs."""
    return f"{number} has no unit: write {number}s for seconds or {number}ms for milliseconds"


def format_duration(nanoseconds: int) -> str:
    """The text of a duration in the largest unit that divides it: 1400ms, 15m."""
    if nanoseconds == 0:
        return "0s"
    unit = next(unit for unit in _SHOWN if nanoseconds % _UNITS[unit] == 0)
    return f"{nanoseconds // _UNITS[unit]}{unit}"
