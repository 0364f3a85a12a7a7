from __future__ import annotations

from spanmill.exporters.otlp.delivery import SMALLEST_REQUEST
from spanmill.exporters.otlp_metrics.request_size import LARGEST_REQUEST, RequestSize

MIB = 1 << 20


def test_requests_are_no_larger_than_the_destination_takes_or_memory_should_hold() -> None:
    assert RequestSize(MIB).bytes == MIB
    assert RequestSize(1000).bytes == 1000
    assert RequestSize(20 * MIB).bytes == LARGEST_REQUEST


def test_what_was_too_large_is_not_tried_again() -> None:
    size = RequestSize(MIB)
    size.refused(MIB)
    assert size.bytes == MIB // 2
    for _ in range(5):
        size.answered()
    assert size.bytes == MIB // 2


def test_after_silence_requests_grow_again() -> None:
    size = RequestSize(MIB)
    size.unanswered(MIB)
    size.unanswered(MIB // 2)
    assert size.bytes == MIB // 4
    for _ in range(5):
        size.answered()
    assert size.bytes == MIB


def test_requests_never_become_tiny() -> None:
    size = RequestSize(MIB)
    for _ in range(50):
        size.unanswered(size.bytes)
        size.refused(size.bytes)
    assert size.bytes == SMALLEST_REQUEST
