"""Joining, splitting and settling, without a network."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import pytest

from exporters.otlp.delivery_bench import KIB, MIB, Bench, sized
from exporters.otlp.requests import flatten, names_in, request_of
from spanmill.exporters.otlp.delivery import JOIN_BYTES, SMALLEST_REQUEST
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.exporters.otlp.signals import TRACES
from spanmill.spans.split import Part
from spanmill.testing import ManualClock


def test_waiting_records_go_as_one_request_in_their_order() -> None:
    bench = Bench()
    payloads = [request_of("a", "b"), request_of("c"), request_of("d", service="other")]
    bench.accept(*payloads)
    bench.take()
    assert bench.pending == b"".join(payloads)
    assert names_in(bench.pending) == ["a", "b", "c", "d"]
    bench.answer(Delivered())
    assert bench.outcomes == {"delivered": 4}
    assert bench.next_request() is None


def test_records_are_joined_up_to_the_limit() -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    payloads = [sized(str(n), 30 * KIB) for n in range(7)]
    bench.accept(*payloads)
    bench.deliver_all()
    assert [len(names_in(request)) for request in bench.delivered] == [3, 3, 1]
    assert b"".join(bench.delivered) == b"".join(payloads)


def test_a_record_over_the_limit_is_split_and_settled_at_its_last_part() -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    large = request_of(*"abcdefg", padding=30 * KIB)
    bench.accept(large)
    bench.take()
    parts = []
    while bench.next_request() is not None:
        assert bench.outcomes == {"queued": 7}
        parts.append(bench.pending)
        bench.answer(Delivered())
    assert bench.outcomes == {"delivered": 7}
    assert all(len(part) <= 100 * KIB for part in parts)
    assert len(parts) == 3
    assert [span for part in parts for span in flatten(part)] == flatten(large)


def test_a_span_too_large_by_itself_is_a_dead_letter_and_its_neighbours_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    large = request_of("before") + sized("giant", 200 * KIB) + request_of("after")
    bench.accept(large)
    bench.deliver_all()
    assert [name for part in bench.delivered for name in names_in(part)] == ["before", "after"]
    assert bench.outcomes == {"delivered": 2, "dead_lettered": 1}
    assert [record.getMessage() for record in caplog.records] == ["a span is too large to be sent"]


def test_a_record_of_nothing_but_a_giant_span_is_settled_without_a_request() -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    bench.accept(sized("giant", 200 * KIB))
    bench.take()
    assert bench.next_request() is None
    assert bench.outcomes == {"dead_lettered": 1}


def test_a_request_without_spans_is_passed_on_too() -> None:
    bench = Bench()
    empty = request_of()
    bench.accept(empty)
    bench.deliver_all()
    assert bench.delivered == [empty]
    assert bench.outcomes == {}
    assert bench.cursor.queued_bytes == 0


@pytest.mark.parametrize(("rejected", "counted"), [(2, 2), (5, 3), (0, 0)])
def test_partial_success_counts_the_rejected_and_the_rest(
    rejected: int, counted: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()
    bench.accept(request_of("a"), request_of("b", "c"))
    bench.take()
    bench.answer(Delivered(rejected, "no root span"))
    expected = {"delivered": 3 - counted, "rejected_by_peer": counted}
    assert bench.outcomes == {outcome: n for outcome, n in expected.items() if n}
    (line,) = caplog.records
    assert "no root span" in line.__dict__.values()


def test_a_success_that_is_no_otlp_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for _ in range(3):
        bench.accept(request_of("a"))
        bench.take()
        bench.answer(Delivered(unreadable=True))
    assert bench.outcomes == {"delivered": 3}
    assert len(caplog.records) == 1


def test_the_culprit_of_a_rejected_joined_request_is_found_and_its_neighbours_delivered() -> None:
    bench = Bench()
    bench.accept(*(request_of(name) for name in ("a", "b", "c", "d", "e", "bad", "f", "g")))
    bench.take()
    bench.answer(Permanent("answered 400"))
    sent = []
    while bench.next_request() is not None:
        names = names_in(bench.pending)
        sent.append(names)
        bench.answer(Permanent("answered 400") if "bad" in names else Delivered())
    assert sent == [list("abcd"), ["e", "bad", "f", "g"], ["e", "bad"], ["e"], ["bad"], ["f", "g"]]
    assert bench.outcomes == {"delivered": 7, "rejected_by_peer": 1}


def test_a_rejection_that_any_request_would_get_is_not_asked_for_each_record() -> None:
    bench = Bench()
    bench.accept(request_of("a"), request_of("b"))
    bench.take()
    bench.answer(Permanent("answered 404", by_content=False))
    assert bench.next_request() is None
    assert bench.outcomes == {"rejected_by_peer": 2}


def test_rejections_are_said_once_a_minute_with_the_number_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    notices = Notices("tempo", TRACES, clock)
    for _ in range(4):
        notices.warn("destination rejected a request", reason="answered 400")
    clock.advance(61)
    notices.warn("destination rejected a request", reason="answered 400")
    assert len(caplog.records) == 2
    assert "left_out" not in caplog.records[0].__dict__
    assert caplog.records[1].__dict__["left_out"] == 3
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_a_refused_size_is_halved_until_it_fits_and_not_tried_again() -> None:
    bench = Bench(max_request_bytes=4 * MIB)
    real_limit = 500 * KIB
    payloads = [sized(str(n), 100 * KIB) for n in range(64)]
    bench.accept(*payloads)
    refused = []
    while True:
        if bench.next_request() is None:
            bench.take()
        if bench.next_request() is None:
            break
        if len(bench.pending) > real_limit:
            refused.append(len(bench.pending))
            bench.answer(TooLarge("answered 413"))
        else:
            bench.answer(Delivered())
    assert bench.outcomes == {"delivered": 64}
    assert b"".join(bench.delivered) == b"".join(payloads)
    assert len(refused) < 20
    bench.accept(*payloads)
    bench.take()
    assert len(bench.pending) <= real_limit


def test_a_refused_record_is_split_between_its_spans_until_the_giant_stands_alone() -> None:
    bench = Bench()
    names = [f"n{n}" for n in range(9)]
    record = request_of(*names[:4]) + sized("giant", 300 * KIB) + request_of(*names[4:])
    bench.accept(record)
    bench.take()
    while bench.next_request() is not None:
        too_large = len(bench.pending) > 100 * KIB
        bench.answer(TooLarge("answered 413") if too_large else Delivered())
    assert [name for part in bench.delivered for name in names_in(part)] == names
    assert bench.outcomes == {"delivered": 9, "dead_lettered": 1}


def test_a_size_that_gets_no_answer_is_halved_and_grows_again_with_success() -> None:
    bench = Bench(max_request_bytes=4 * MIB)
    payloads = [sized(str(n), 25 * KIB) for n in range(81)]
    bench.accept(*payloads)
    bench.take()
    whole = len(bench.pending)
    bench.halve()
    assert len(bench.pending) == pytest.approx(whole / 2, rel=0.1)
    bench.halve()
    assert bench.delivery.join_bytes < whole / 2
    for _ in range(3):
        bench.answer(Delivered())
    assert bench.delivery.join_bytes == JOIN_BYTES
    assert bench.next_request() is None
    assert b"".join(bench.delivered) == b"".join(payloads)


def test_a_limit_below_the_smallest_guess_is_kept_whatever_is_refused() -> None:
    bench = Bench(max_request_bytes=10 * KIB)
    bench.accept(*(sized(str(n), 3 * KIB) for n in range(6)))
    bench.take()
    bench.answer(TooLarge("answered 413"))
    assert names_in(bench.pending) == ["0"]
    bench.halve()
    assert bench.delivery.join_bytes <= 10 * KIB
    bench.deliver_all()
    assert all(len(request) <= 10 * KIB for request in bench.delivered)


def test_silence_about_a_small_request_does_not_shrink_it() -> None:
    bench = Bench()
    bench.accept(request_of("a"), request_of("b"))
    bench.take()
    bench.halve()
    assert names_in(bench.pending) == ["a", "b"]


def test_a_large_record_that_gets_no_answer_is_split_between_its_spans() -> None:
    bench = Bench()
    record = request_of(*"abcd", padding=SMALLEST_REQUEST)
    bench.accept(record)
    bench.take()
    bench.halve()
    assert len(bench.pending) < len(record) * 0.6
    bench.deliver_all()
    assert [span for part in bench.delivered for span in flatten(part)] == flatten(record)
    assert bench.outcomes == {"delivered": 4}


@pytest.mark.parametrize("smaller", ["refused", "silent"])
def test_a_part_made_smaller_keeps_its_place_before_the_parts_behind_it(smaller: str) -> None:
    bench = Bench(max_request_bytes=200 * KIB)
    record = request_of(*"abcdefg", padding=45 * KIB)
    bench.accept(record)
    bench.take()
    assert names_in(bench.pending) == ["a", "b", "c", "d"]
    if smaller == "refused":
        bench.answer(TooLarge("answered 413"))
    else:
        bench.halve()
    assert names_in(bench.pending) in (["a"], ["a", "b"])
    bench.deliver_all()
    assert [name for part in bench.delivered for name in names_in(part)] == list("abcdefg")


def test_what_is_given_up_is_the_oldest_record_and_its_neighbours_stay() -> None:
    bench = Bench()
    bench.accept(*(request_of(name) for name in "abcd"))
    bench.take()
    for _ in range(3):
        bench.give_up()
    assert bench.outcomes == {"expired": 1, "queued": 3}
    bench.deliver_all()
    assert [names_in(request) for request in bench.delivered] == [["b"], ["c", "d"]]


def test_a_split_record_given_up_half_way_keeps_what_was_delivered() -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    bench.accept(request_of(*"abcd", padding=40 * KIB))
    bench.take()
    bench.answer(Delivered())
    bench.give_up()
    assert bench.outcomes == {"delivered": 2, "expired": 2}


def _faulty(_payload: bytes, _limit: int) -> list[Part]:
    raise ZeroDivisionError


def test_a_record_that_cannot_be_split_is_a_dead_letter_once_it_is_abandoned() -> None:
    bench = Bench(max_request_bytes=100 * KIB, signal=replace(TRACES, split=_faulty))
    bench.accept(request_of("a", "b", padding=60 * KIB))
    with pytest.raises(ZeroDivisionError):
        bench.take()
    bench.delivery.abandon()
    assert bench.next_request() is None
    assert bench.outcomes == {"dead_lettered": 2}
    bench.delivery.abandon()


def test_a_refused_record_that_cannot_be_split_is_a_dead_letter_once_it_is_abandoned() -> None:
    bench = Bench(signal=replace(TRACES, split=_faulty))
    bench.accept(request_of("a", "b", padding=60 * KIB))
    bench.take()
    with pytest.raises(ZeroDivisionError):
        bench.answer(TooLarge("answered 413"))
    bench.delivery.abandon()
    assert bench.next_request() is None
    assert bench.outcomes == {"dead_lettered": 2}


def test_requests_in_flight_are_answered_for_in_any_order() -> None:
    bench = Bench()
    payloads = [sized(name, 700 * KIB) for name in "abc"]
    bench.accept(*payloads)
    first, second, third = (bench.begin() for _ in payloads)
    assert [request.payload for request in (first, second, third)] == payloads
    bench.delivery.answered(third, Delivered())
    bench.delivery.answered(first, Permanent("answered 400"))
    assert bench.outcomes == {"delivered": 1, "rejected_by_peer": 1, "queued": 1}
    bench.delivery.again(second)
    assert bench.begin() is second
    bench.delivery.answered(second, Delivered())
    assert bench.outcomes == {"delivered": 2, "rejected_by_peer": 1}


def test_parts_of_one_record_are_in_flight_together_and_settled_with_the_last() -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    bench.accept(request_of(*"abcd", padding=60 * KIB))
    parts = [bench.begin() for _ in range(4)]
    for part in reversed(parts[1:]):
        bench.delivery.answered(part, Delivered())
        assert bench.outcomes == {"queued": 4}
    bench.delivery.answered(parts[0], TooLarge("answered 413"))
    assert bench.outcomes == {"delivered": 3, "dead_lettered": 1}


def test_what_was_put_back_goes_before_what_is_younger() -> None:
    bench = Bench()
    bench.accept(*(sized(name, 700 * KIB) for name in "abc"))
    first, second = bench.begin(), bench.begin()
    bench.delivery.again(second)
    bench.delivery.again(first)
    assert [bench.begin(), bench.begin()] == [first, second]
    assert names_in(bench.begin().payload) == ["c"]


@pytest.mark.parametrize(
    ("answer", "outcomes"),
    [
        (Delivered(), {"delivered": 1, "expired": 3}),
        (Delivered(1, "no root span"), {"rejected_by_peer": 1, "expired": 3}),
        (Permanent("answered 400"), {"rejected_by_peer": 1, "expired": 3}),
        (TooLarge("answered 413"), {"dead_lettered": 1, "expired": 3}),
        (None, {"expired": 4}),
    ],
)
def test_a_record_given_up_waits_for_its_parts_in_flight_and_sends_no_more(
    answer: Delivered | Permanent | TooLarge | None, outcomes: dict[str, int]
) -> None:
    bench = Bench(max_request_bytes=100 * KIB)
    bench.accept(request_of(*"abcd", padding=60 * KIB))
    first, second = bench.begin(), bench.begin()
    bench.delivery.give_up(first)
    assert bench.outcomes == {"queued": 4}
    assert bench.delivery.next_request() is None
    if answer is None:
        bench.delivery.halve(second)
    else:
        bench.delivery.answered(second, answer)
    assert bench.outcomes == outcomes


def test_random_records_joined_and_split_arrive_whole() -> None:
    rng = random.Random(3)
    bench = Bench(max_request_bytes=64 * KIB)
    payloads = [
        request_of(
            *(f"s{n}" for n in range(rng.randrange(1, 9))),
            service=f"service {rng.randrange(3)}",
            padding=rng.choice([0, 100, 10_000]),
            spans_per_scope=rng.randrange(1, 4),
        )
        for _ in range(200)
    ]
    bench.accept(*payloads)
    bench.deliver_all()
    sent = [span for request in bench.delivered for span in flatten(request)]
    assert sent == [span for payload in payloads for span in flatten(payload)]
    assert all(len(request) <= 64 * KIB for request in bench.delivered)
