"""Numbers as text: the shortest form that reads back as the same double."""

from __future__ import annotations

import math
from collections.abc import Iterable

_SPECIAL = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}


def number_texts(values: Iterable[float]) -> list[str]:
    """Values of samples: whole numbers without a decimal point, except -0."""
    return [
        text if text[-2:] != ".0" or text == "-0.0" else text[:-2]
        for text in (_SPECIAL.get(text, text) for text in map(repr, values))
    ]


def bound_text(bound: float) -> str:
    """The value of an `le` label, in OpenMetrics' canonical form: "0.002", "1.0", "+Inf"."""
    return "+Inf" if math.isinf(bound) else repr(bound)
