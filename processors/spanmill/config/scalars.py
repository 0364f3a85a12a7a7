"""The types of unquoted YAML values, by the core schema of YAML 1.2 (section 10.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...]] = (
    (re.compile(r"[-+]?[0-9]{1,40}"), int),
    (re.compile(r"0o[0-7]{1,40}"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]{1,40}"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (
        re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        lambda text: float(text.replace(".", "")),
    ),
)
"""Each form of a number and how it is read; longer integers than these are floats."""


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted value is; `no`, `on` and `1:30` are texts, unlike in YAML 1.1."""
    if text in _WORDS:
        return _WORDS[text]
    for form, read in _NUMBERS:
        if form.fullmatch(text):
            return read(text)
    return text
