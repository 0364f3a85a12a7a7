"""Reads which places of a kept table are taken, by whom, and how busy they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader


def read_labels(state: StateReader, name: str, most: int) -> list[LabelValues | None]:
    """At most so many label sets, none twice; None stays None."""
    labels: list[LabelValues | None] = []
    for key in state.values(name):
        if key is None:
            labels.append(None)
        elif isinstance(key, list | tuple) and {type(text) for text in key} == {str}:
            labels.append(tuple(key))
        else:
            raise state.error(f"{name} has something that is no label set")
    taken = [key for key in labels if key is not None]
    if len(labels) > most or len(set(taken)) < len(taken):
        raise state.error(f"{name} are not up to {most} label sets, each once")
    return labels


def read_places(state: StateReader, name: str, taken: Sequence[Any], places: int) -> list[int]:
    """The free places; with those that are taken they are 0 to `places` - 1, each once."""
    free = state.values(name)
    every = [*taken, *free]
    if {type(place) for place in every} - {int} or sorted(every) != list(range(places)):
        raise state.error(f"{name} and what is taken are not {places} places, each once")
    return free


def read_spans(state: StateReader, name: str, places: int) -> npt.NDArray[np.float64]:
    """The spans of each place: numbers of 0 or more."""
    spans = state.array(name, np.float64, (places,))
    if not (np.isfinite(spans) & (spans >= 0)).all():
        raise state.error(f"{name} are no numbers of spans")
    return spans
