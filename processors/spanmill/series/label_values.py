"""Attribute values as label values."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final

from spanmill.spans.batch import AttributeValue

MAX_LENGTH: Final = 1024
"""Label values are cut to this many characters: a 10 MB span name must not fill a scrape."""


def label_value(value: AttributeValue) -> str:
    """The text of an attribute value, as OpenTelemetry's data model converts it to a string.

    Bytes become base64, arrays and kvlists JSON, the empty value the empty string (which in
    Prometheus is the same as no label).
    """
    if isinstance(value, str):
        return label_text(value)
    if value is None:
        return ""
    plain = _plain(value)
    return label_text(plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False))


def label_text(text: str) -> str:
    """The text as a label value, cut to MAX_LENGTH."""
    return text[:MAX_LENGTH] if len(text) > MAX_LENGTH else text


def _plain(value: AttributeValue) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if isinstance(value, Mapping):
        return {key: _plain(element) for key, element in value.items()}
    return value
