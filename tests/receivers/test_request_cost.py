"""What requests are taken to cost, against what the costliest of their size do."""

from __future__ import annotations

from random import Random

import pytest

from receivers.sent_signals import METRICS, TRACES, SentSignal
from spanmill.journal.log import Signal
from spanmill.receivers.request_cost import SMALL_BYTES, json_cost, protobuf_cost
from spans.generated import field

MILLION = 1_000_000
EMPTY_MESSAGE = 54
EMPTY_JSON_OBJECT = 130


@pytest.mark.parametrize(
    ("signal", "sent"),
    [(Signal.TRACES, TRACES), (Signal.METRICS, METRICS)],
    ids=["spans", "points"],
)
@pytest.mark.parametrize("count", [1000, 4 * MILLION], ids=["small", "large"])
def test_empty_attributes_cost_what_the_library_takes_for_them(
    signal: Signal, sent: SentSignal, count: int
) -> None:
    body = sent.in_item(field(sent.attributes, b"") * count)
    for seed in range(20):
        assert protobuf_cost(signal, body, Random(seed)) >= count * EMPTY_MESSAGE


def test_a_dense_part_of_a_large_body_is_seen_wherever_it_is() -> None:
    dense = field(9, b"") * MILLION
    for before in (0, 1, 3_333_333):
        body = bytes(before) + dense + bytes(4_000_000 - before)
        for seed in range(20):
            assert protobuf_cost(Signal.TRACES, body, Random(seed)) >= MILLION * EMPTY_MESSAGE


def test_large_bodies_of_plain_bytes_cost_a_few_times_their_size() -> None:
    body = bytes(4 * SMALL_BYTES)
    assert protobuf_cost(Signal.TRACES, body, Random(1)) < 5 * len(body)


def test_recorded_requests_joined_cost_less_than_the_worst(
    astronomy_requests: list[bytes],
) -> None:
    body = b"".join(astronomy_requests)[: 8 << 20]
    assert protobuf_cost(Signal.TRACES, body, Random(1)) < 12 * len(body)


def test_objects_and_values_of_json_are_counted() -> None:
    count = MILLION
    assert json_cost(b"[" + b",".join([b"{}"] * count) + b"]") >= count * EMPTY_JSON_OBJECT
    assert json_cost(b'"%s"' % (b"x" * count)) < 5 * count
