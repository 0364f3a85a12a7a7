"""Columns made from those of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from spanmill.processors import (
    Coded,
    first_given,
    map_values,
    resource_attribute,
    service_names,
)
from spanmill.testing import Span, batch_of


def rows(column: Coded[Any]) -> list[object]:
    return [column.value(row) for row in range(len(column.codes))]


def test_each_span_has_its_resource_s_attribute() -> None:
    batch = batch_of([Span(resource={"region": "eu"}), Span(service=None)])
    assert rows(resource_attribute(batch, "region")) == ["eu", None]
    assert rows(service_names(batch)) == ["shop", "unknown_service"]


def test_a_function_is_called_once_for_each_value() -> None:
    called = []

    def upper(text: str) -> str:
        called.append(text)
        return text.upper()

    column = Coded(np.array([0, 1, -1, 0], np.int32), ["a", "b"])
    assert rows(map_values(column, upper)) == ["A", "B", None, "A"]
    assert called == ["a", "b"]


def test_what_is_missing_is_taken_from_the_other_column() -> None:
    first = Coded(np.array([0, -1, -1], np.int32), ["a"])
    second = Coded(np.array([1, 0, -1], np.int32), ["b", "c"])
    both = first_given(first, second)
    assert rows(both) == ["a", "b", None]
    assert both.codes.dtype == np.int32
