"""Sizes in bytes as text: `64MiB`, `20MB`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "GiB": 1 << 30,
    "GB": 10**9,
    "MiB": 1 << 20,
    "MB": 10**6,
    "KiB": 1 << 10,
    "kB": 10**3,
    "KB": 10**3,
    "B": 1,
}
"""Bytes of each unit."""

SIZE_PATTERN: Final = r"^([0-9]{1,19}(?:\.[0-9]{1,19})?)(?: ?(GiB|GB|MiB|MB|KiB|kB|KB|B))?$"
"""The form, as Python and as JSON Schema read it: a number, a unit."""

_FORM: Final = re.compile(SIZE_PATTERN)

_MAX_BYTES: Final = 2**62
_SHOWN: Final = ("GiB", "MiB", "KiB", "GB", "MB", "kB", "B")


def parse_size(text: str) -> int:
    """Bytes of a number with a unit (a bare number is bytes).

    Raises ValueError with the whole sentence: an unknown unit, no whole number of bytes, over
    2⁶² bytes.
    """
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise ValueError(
            f"{text[:40]!r} is no size: write a number with B, kB, MB, GB, KiB, MiB or GiB, "
            "such as 64MiB"
        )
    exact = Fraction(parts[1]) * _UNITS[parts[2] or "B"]
    if exact > _MAX_BYTES:
        raise ValueError(f"{text!r} is more than any machine holds")
    if exact != int(exact):
        raise ValueError(f"{text!r} is no whole number of bytes")
    return int(exact)


def format_size(size: int) -> str:
    """The text of a size in the largest unit that divides it, binary units first."""
    if size == 0:
        return "0B"
    unit = next(unit for unit in _SHOWN if size % _UNITS[unit] == 0)
    return f"{size // _UNITS[unit]}{unit}"
