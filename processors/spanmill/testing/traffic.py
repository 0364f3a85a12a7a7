"""Spans to test processors with: ordinary ones, odd ones, and floods."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np

from spanmill.spans.batch import ABSENT, AttributeValue, Coded, SpanBatch
from spanmill.testing.fakes import Span
from spanmill.testing.trial import NOW

T = TypeVar("T")

_VALUES: Final[tuple[AttributeValue, ...]] = ("gold", "silver", "SELECT 1", "INSERT x", 7, True)
_HUGE: Final = "x" * 1_000_000

ODD_VALUES: Final[tuple[tuple[str, AttributeValue], ...]] = (
    ("an empty text", ""),
    ("spaces alone", "  \n "),
    ("a text of 1 MB", _HUGE),
    ("a text that isn't ASCII", "Zoë \U0001f600 \u2028"),
    ("an empty value (None)", None),
    ("a whole number", -(2**63)),
    ("a truth value", False),
    ("a fraction", 0.1),
    ("not a number", float("nan")),
    ("infinity", float("inf")),
    ("bytes", b"\xff\x00"),
    ("a list", ("a", 1, None)),
    ("an empty list", ()),
    ("a mapping", {"a": {"b": 1}}),
)
"""Values that an attribute can have: OTLP allows every type for every key."""


def ordinary(attributes: Sequence[str], count: int = 240) -> list[Span]:
    """Spans of all kinds, some with and some without each attribute; always the same ones."""
    chosen = random.Random(5)
    spans = []
    for number in range(count):
        given = {key: chosen.choice(_VALUES) for key in attributes if chosen.random() < 0.75}
        duration = round(chosen.lognormvariate(17, 2))
        spans.append(
            Span(
                name=f"GET /{chosen.randrange(8)}",
                service=f"service-{chosen.randrange(4)}",
                kind=chosen.randrange(6),
                status=chosen.randrange(3),
                start=NOW - duration - chosen.randrange(10**9),
                duration=duration,
                size=chosen.randrange(100, 900),
                trace_id=(1 + number // 3).to_bytes(16),
                span_id=(1 + number).to_bytes(8),
                parent_id=(number if number % 3 else 0).to_bytes(8),
                attributes=given,
                resource={**given, "deployment.environment.name": chosen.choice(["a", "b"])},
            )
        )
    return spans


def odd(attributes: Sequence[str]) -> Iterator[tuple[str, list[Span]]]:
    """Spans that are allowed, each with what is odd about it."""
    for kind in range(6):
        plain = Span(kind=kind, start=NOW - 5_000_000)
        yield "a span without any attribute", [plain]
        yield "a service.name that is no text", [replace(plain, service=17)]
        yield "a resource without a service.name", [replace(plain, service=None)]
        yield "an empty name", [replace(plain, name="")]
        yield "a duration of 0", [replace(plain, duration=0)]
        yield "a duration of 58 years", [replace(plain, start=0, duration=NOW)]
        yield "a span that ends in the future", [replace(plain, start=2**63)]
        yield "a weight of 1,048,576", [replace(plain, weight=float(1 << 20))]
        for what, value in ODD_VALUES:
            given = dict.fromkeys(attributes, value)
            yield f"attributes that are {what}", [replace(plain, attributes=given, resource=given)]
            for key in attributes:
                yield f"{key} that is {what}", [replace(plain, attributes={key: value})]


def flood(attributes: Sequence[str], batches: int, size: int = 250) -> Iterator[list[Span]]:
    """Spans of which no two have a value in common."""
    number = 0
    for _ in range(batches):
        spans = []
        for _ in range(size):
            number += 1
            unique = f"{number}-{'y' * 190}"
            spans.append(
                Span(
                    name=f"name {unique}",
                    service=f"service {unique}",
                    kind=number % 6,
                    status=number % 3,
                    start=NOW - number * 1000,
                    duration=number * 1000,
                    trace_id=number.to_bytes(16),
                    span_id=number.to_bytes(8),
                    attributes=dict.fromkeys(attributes, unique),
                    resource=dict.fromkeys(attributes, unique),
                )
            )
        yield spans


def weighing(spans: Sequence[Span], weight: int) -> list[Span]:
    """The same spans, each of which stands for `weight`."""
    return [replace(span, weight=float(weight)) for span in spans]


def repeated(spans: Sequence[Span], times: int) -> list[Span]:
    """Each span so many times, with ids of their own."""
    return [
        replace(
            span,
            trace_id=bytes([copy]) + span.trace_id[1:],
            span_id=bytes([copy]) + span.span_id[1:],
        )
        for span in spans
        for copy in range(1, times + 1)
    ]


def recoded(batch: SpanBatch) -> SpanBatch:
    """The same spans with each distinct value under one code, as a decoder has it."""
    return type(batch)(
        **{
            **{name: getattr(batch, name) for name in batch.__slots__},
            "resource": _shared(batch.resource),
            "name": _shared(batch.name),
            "attributes": type(batch.attributes)(  # type: ignore[call-arg]  # a dict of its own kind
                {key: _shared(column) for key, column in batch.attributes.items()}
            ),
        }
    )


def _shared(column: Coded[T]) -> Coded[T]:
    codes: dict[str, int] = {}
    values: list[T] = []
    shared = []
    for code in column.codes.tolist():
        if code == ABSENT:
            shared.append(ABSENT)
            continue
        value = column.values[code]
        if repr(value) not in codes:
            codes[repr(value)] = len(values)
            values.append(value)
        shared.append(codes[repr(value)])
    return Coded(np.array(shared, np.int32), values)
