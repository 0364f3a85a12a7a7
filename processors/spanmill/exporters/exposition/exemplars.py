"""Exemplars in the terms of the formats: the labels that fit, and their text in OpenMetrics."""

from __future__ import annotations

import math
from typing import Final

from spanmill.exporters.exposition.lines import escape_quoted
from spanmill.exporters.exposition.numbers import number_texts
from spanmill.series.snapshot import Exemplar

MAX_LABEL_CHARACTERS: Final = 128
"""For all names and values of one exemplar (OpenMetrics 1.0, "Exemplars").

Prometheus stores no exemplar that has more, in whatever format it comes.
"""


def fitting_labels(exemplar: Exemplar) -> list[tuple[str, str]]:
    """The labels that the limit leaves room for, the first ones preferred."""
    labels = []
    room = MAX_LABEL_CHARACTERS
    for name, value in exemplar.labels:
        length = len(name) + len(value)
        if length <= room:
            room -= length
            labels.append((name, value))
    return labels


def exemplar_text(exemplar: Exemplar) -> str:
    """What follows a sample's value: ` # {trace_id="…"} value timestamp`."""
    pairs = ",".join(f'{name}="{escape_quoted(text)}"' for name, text in fitting_labels(exemplar))
    (value,) = number_texts((exemplar.value,))
    if math.isnan(exemplar.seconds):
        return f" # {{{pairs}}} {value}"
    return f" # {{{pairs}}} {value} {exemplar.seconds!r}"
