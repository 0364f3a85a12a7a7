"""Single values of OTLP's JSON encoding: integers, doubles, ids and bytes."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Final

from spanmill.spans.json_schema import JsonDouble, JsonInteger

INT32: Final = (-(1 << 31), (1 << 31) - 1)
INT64: Final = (-(1 << 63), (1 << 63) - 1)
UINT32: Final = (0, (1 << 32) - 1)
UINT64: Final = (0, (1 << 64) - 1)

# More digits than any 64-bit integer has; int() of very long ones is slow and refused.
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_DOUBLE: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,1100})?([eE][+-]?[0-9]{1,10})?", re.ASCII)
_NAMED_DOUBLES: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_URL_SAFE: Final = str.maketrans("-_", "+/")
_SHOWN: Final = 40


class FieldError(ValueError):
    """A value that its field can't hold; `path` leads to it from the message that was read."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def under(self, step: str) -> FieldError:
        """The same, seen from one level further out."""
        return FieldError(self.reason, f"{step}.{self.path}" if self.path else step)


def integer(value: JsonInteger, field: str, bounds: tuple[int, int]) -> int:
    """A whole number within the bounds; unset is 0."""
    if value is None:
        return 0
    whole: int
    if isinstance(value, int):
        whole = value
    elif value.is_integer() if isinstance(value, float) else _WHOLE_NUMBER.fullmatch(value):
        whole = int(value)
    else:
        raise FieldError(f"{_shown(value)} is not a whole number", field)
    if not bounds[0] <= whole <= bounds[1]:
        raise FieldError(f"the number is not between {bounds[0]} and {bounds[1]}", field)
    return whole


def double(value: JsonDouble, field: str) -> float:
    """A double; unset is 0."""
    if value is None:
        return 0.0
    if not isinstance(value, str):
        return value
    if value in _NAMED_DOUBLES:
        return _NAMED_DOUBLES[value]
    number = float(value) if _DOUBLE.fullmatch(value) else math.nan
    if not math.isfinite(number):
        raise FieldError(f"{_shown(value)} is not a double", field)
    return number


def identifier(value: str | None, field: str) -> bytes:
    """The bytes of an id in hexadecimal, of whatever length; unset is empty."""
    if not value:
        return b""
    try:
        return binascii.unhexlify(value)
    except ValueError as error:
        raise FieldError(f"{_shown(value)} is not an id in hexadecimal", field) from error


def base64_bytes(value: str, field: str) -> bytes:
    """The bytes of base64 in the standard or the URL-safe alphabet, padded or not."""
    text = value.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise FieldError(f"{_shown(value)} is not base64", field) from error


def _shown(value: float | str) -> str:
    if isinstance(value, str) and len(value) > _SHOWN:
        return repr(value[:_SHOWN]) + "…"
    return repr(value)
