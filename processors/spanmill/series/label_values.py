"""Attribute values as label values."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from spanmill.points.digest import DIGEST_LENGTH, short_digest
from spanmill.spans.batch import AttributeValue

MAX_LENGTH: Final = 1024
"""Label values are cut to this many characters: a 10 MB span name must not fill a scrape."""

_KEPT: Final = MAX_LENGTH - 1 - DIGEST_LENGTH


def label_value(value: AttributeValue) -> str:
    """The text of an attribute value, cut to MAX_LENGTH.

    For what is counted up: two values that differ only after it share a series, as they may.
    """
    return label_text(value if isinstance(value, str) else attribute_text(value))


def label_text(text: str) -> str:
    """The text as a label value, cut to MAX_LENGTH."""
    return text[:MAX_LENGTH] if len(text) > MAX_LENGTH else text


def distinct_text(text: str) -> str:
    """The text cut to MAX_LENGTH, its digest at the end, so that different texts stay different.

    For what identifies a series of which each point replaces the one before it.
    """
    return cut_apart(text, "~") if len(text) > MAX_LENGTH else text


def cut_apart(text: str, mark: str) -> str:
    """MAX_LENGTH characters: the first of the text, the mark (one character) and the digest."""
    return f"{text[:_KEPT]}{mark}{short_digest(text)}"


def attribute_text(value: AttributeValue) -> str:
    """The text of an attribute value, as the Collector and Prometheus's OTLP receiver write it.

    Numbers are written as in JavaScript, bytes become base64, arrays and kvlists compact JSON with
    the keys in order, the empty value the empty string (which in Prometheus is the same as no
    label). Source: `Value.AsString` of the Collector's pdata.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return _double(value) if isinstance(value, float) else _json(value)


def _json(value: AttributeValue) -> str:
    if value is None or isinstance(value, int):
        return json.dumps(value)
    if isinstance(value, float):
        # JSON has no such number: the receiver then drops the whole attribute.
        return _double(value) if math.isfinite(value) else f'"{_double(value)}"'
    if isinstance(value, tuple):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, Mapping):
        pairs = (f"{_quoted(key)}:{_json(value[key])}" for key in sorted(value))
        return f"{{{','.join(pairs)}}}"
    return _quoted(attribute_text(value))


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")


def _double(number: float) -> str:
    """A double by ECMAScript's rules for numbers, but with the sign of -0, as Go writes it."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"
    text = repr(number)
    if "e" not in text:
        return text.removesuffix(".0")
    if 1e-6 <= abs(number) < 1e21:
        return format(Decimal(text), "f")
    return text.replace("e-0", "e-")
