"""A destination from queue to peer, with real servers that misbehave."""

from __future__ import annotations

import threading
import tracemalloc

import grpc
import pytest

from exporters.otlp.house import House
from exporters.otlp.log_lines import BACK, LOST, fields, messages
from exporters.otlp.peers import (
    Abort,
    Action,
    Answer,
    Drip,
    GrpcPeer,
    Hang,
    HttpPeer,
    Reset,
    partial,
    taken_names,
)
from exporters.otlp.requests import request_of
from exporters.otlp.settings_for import MIB, NEVER, settings_for
from spanmill.exporters.otlp.backoff import Backoff
from waiting import Eventually

KIB = 1024


def test_an_idle_destination_sends_at_once(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a", "b"), 2)
    eventually(house.settled, "the request is delivered")
    assert http_peer.taken == [request_of("a", "b")]
    assert house.outcomes() == {"delivered": 2}
    assert house.telemetry.export_retries.value("tempo", "traces") == 0


def test_what_arrives_during_a_request_goes_as_the_next_one(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    may_answer = threading.Event()

    def slow(body: bytes) -> Action:
        may_answer.wait(20)
        return Answer()

    http_peer.otherwise = slow
    house.open(settings_for(http_peer.port))
    house.accept(request_of("first"), 1)
    eventually(lambda: http_peer.seen, "the first request is in flight")
    for n in range(50):
        house.accept(request_of(f"{n}"), 1)
    may_answer.set()
    eventually(house.settled, "all is delivered")
    assert len(http_peer.taken) == 2
    assert b"".join(http_peer.taken) == b"".join(house.accepted)


@pytest.mark.parametrize("kind", [HttpPeer, GrpcPeer])
def test_a_destination_that_was_down_gets_everything_in_order_when_it_is_back(
    house: House,
    kind: type[HttpPeer | GrpcPeer],
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer = kind()
    house.open(settings_for(peer.port, "grpc" if kind is GrpcPeer else "http/protobuf"))
    house.accept(request_of("before"), 1)
    eventually(house.settled, "the first is delivered")
    peer.close()
    for n in range(100):
        house.accept(request_of(f"{n}", "x"), 2)
    eventually(
        lambda: house.telemetry.export_retries.value("tempo", "traces") >= 3, "it tries again"
    )
    assert house.outcomes() == {"delivered": 1, "queued": 200}
    peer.open()
    eventually(house.settled, "all is delivered")
    assert b"".join(peer.taken) == b"".join(house.accepted)
    assert house.outcomes() == {"delivered": 201}
    assert messages(caplog) == [LOST, BACK]
    assert "refused" in str(fields(caplog, LOST)["reason"])
    assert fields(caplog, BACK)["expired_spans"] == 0
    peer.close()


ONE_FAILURE: list[Action] = [
    Answer(503),
    Answer(503, headers={"retry-after": "0"}),
    Answer(429, b"slow down"),
    Answer(502),
    Answer(504),
    Reset(),
    Hang(),
    Drip(),
    Drip(b"HTTP/1.1 200 OK\r\n"),
    Answer(503, headers={"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT"}),
]


@pytest.mark.parametrize("failure", ONE_FAILURE)
def test_a_request_that_failed_for_now_is_sent_again_until_it_is_taken(
    house: House, http_peer: HttpPeer, eventually: Eventually, failure: Action
) -> None:
    http_peer.script.extend([failure] * 3)
    house.open(settings_for(http_peer.port, timeout=0.1))
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is delivered")
    assert set(http_peer.taken) == {request_of("a")}
    assert house.outcomes() == {"delivered": 1}
    assert house.telemetry.export_retries.value("tempo", "traces") >= 3


@pytest.mark.parametrize(
    "failure",
    [
        Abort(grpc.StatusCode.UNAVAILABLE, "restarting"),
        Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_after=0.001),
        Abort(grpc.StatusCode.DATA_LOSS),
        Hang(),
    ],
)
def test_a_grpc_request_that_failed_for_now_is_sent_again_until_it_is_taken(
    house: House, grpc_peer: GrpcPeer, eventually: Eventually, failure: Action
) -> None:
    grpc_peer.script.extend([failure] * 3)
    house.open(settings_for(grpc_peer.port, "grpc", timeout=0.5))
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is delivered")
    assert set(grpc_peer.taken) == {request_of("a")}
    assert house.outcomes() == {"delivered": 1}


def test_the_wait_that_a_destination_names_is_honoured(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named: list[float | None] = []

    def next_wait(self: Backoff, after: float | None) -> float:
        named.append(after)
        return 0.0

    monkeypatch.setattr(Backoff, "next_wait", next_wait)
    http_peer.script.extend(
        [Answer(503, headers={"retry-after": "17"}), Answer(429), Answer(400, b"no")]
    )
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is answered for")
    assert named == [17.0, None]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 301])
def test_a_request_that_is_refused_for_good_is_counted_and_the_next_is_sent(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    http_peer.script.append(Answer(status, b"the reason"))
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a", "b"), 2)
    eventually(house.settled, "the first is refused")
    house.accept(request_of("c"), 1)
    eventually(house.settled, "the second is delivered")
    assert taken_names(http_peer) == ["c"]
    assert house.outcomes() == {"delivered": 1, "rejected_by_peer": 2}
    assert messages(caplog) == ["destination rejected a request"]
    assert "the reason" in str(fields(caplog, "destination rejected a request")["reason"])


def test_partial_success_is_counted_on_both_sides(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.script.append(Answer(200, partial(2, "two were bad")))
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a", "b", "c"), 3)
    eventually(house.settled, "the request is answered for")
    assert house.outcomes() == {"delivered": 1, "rejected_by_peer": 2}


def test_the_culprit_of_a_joined_request_alone_is_refused(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda body: Answer(400, b"bad span") if b"culprit" in body else Answer()
    http_peer.script.append(Answer(503))
    house.open(settings_for(http_peer.port, retry=NEVER))
    house.accept(request_of("first"), 1)
    eventually(lambda: http_peer.seen, "the first attempt was made")
    for name in ("a", "culprit", "b"):
        house.accept(request_of(name), 1)
    house.close()
    assert taken_names(http_peer) == ["first", "a", "b"]
    assert house.outcomes() == {"delivered": 3, "rejected_by_peer": 1}


def test_a_destination_with_a_lower_limit_gets_smaller_requests(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda body: Answer(413) if len(body) > 200 * KIB else Answer()
    house.open(settings_for(http_peer.port))
    house.accept(request_of(*(f"{n}" for n in range(100)), padding=20 * KIB), 100)
    eventually(house.settled, "all is answered for")
    assert taken_names(http_peer) == [f"{n}" for n in range(100)]
    assert house.outcomes() == {"delivered": 100}


def test_a_grpc_destination_with_the_usual_limit_gets_smaller_requests(
    house: House, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    house.open(settings_for(grpc_peer.port, "grpc", max_request_bytes=64 * MIB))
    house.accept(request_of(*(f"{n}" for n in range(10)), padding=MIB), 10)
    eventually(house.settled, "all is answered for")
    assert taken_names(grpc_peer) == [f"{n}" for n in range(10)]


def test_a_destination_that_fails_on_large_requests_gets_smaller_ones(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda body: Reset() if len(body) > 300 * KIB else Answer()
    http_peer.script.append(Answer(503))
    house.open(settings_for(http_peer.port))
    for n in range(20):
        house.accept(request_of(f"{n:02d}", padding=100 * KIB), 1)
    eventually(house.settled, "all is delivered")
    assert taken_names(http_peer) == [f"{n:02d}" for n in range(20)]


def test_what_a_full_queue_drops_is_counted_and_said_once(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    http_peer.close()
    house.open(settings_for(http_peer.port, max_backlog=MIB, retry=NEVER))
    house.accept(request_of("0"), 1)
    eventually(lambda: LOST in messages(caplog), "it is lost")
    for n in range(1, 31):
        house.accept(request_of(f"{n}", padding=100 * KIB), 1)
    assert house.outcomes() == {"queued": 11, "expired": 20}
    http_peer.open()
    house.close()
    assert taken_names(http_peer) == ["0", *(f"{n}" for n in range(21, 31))]
    assert house.outcomes() == {"delivered": 11, "expired": 20}
    assert messages(caplog) == [LOST, BACK]
    assert fields(caplog, BACK)["expired_spans"] == 20


def test_what_is_in_hand_is_at_most_half_of_a_small_backlog(
    house: House, http_peer: HttpPeer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    http_peer.otherwise = lambda body: Answer(503)
    house.open(settings_for(http_peer.port, max_backlog=MIB, retry=NEVER))
    house.accept(request_of("0"), 1)
    eventually(lambda: LOST in messages(caplog), "it is lost")
    for n in range(1, 11):
        house.accept(request_of(f"{n}", padding=90 * KIB), 1)
    http_peer.otherwise = lambda body: Answer()
    house.close()
    assert max(len(body) for body in http_peer.taken) <= MIB // 2
    assert taken_names(http_peer) == [f"{n}" for n in range(11)]


def test_a_record_that_breaks_the_destination_expires_once_the_queue_is_full(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda body: Reset() if b"poison" in body else Answer()
    house.open(settings_for(http_peer.port, max_backlog=MIB))
    house.accept(request_of("poison"), 1)
    eventually(lambda: house.telemetry.export_retries.value("tempo", "traces") >= 1, "it was tried")
    for n in range(15):
        house.accept(request_of(f"{n:02d}", padding=100 * KIB), 1)
    eventually(house.settled, "the others get through")
    assert house.outcomes()["expired"] >= 1
    assert "poison" not in taken_names(http_peer)
    assert taken_names(http_peer)[-9:] == [f"{n:02d}" for n in range(6, 15)]


@pytest.mark.parametrize("action", [Hang(), Reset(), Answer(503), Drip()])
def test_a_bad_destination_holds_up_neither_the_journal_nor_the_books(
    house: House, http_peer: HttpPeer, action: Action
) -> None:
    http_peer.otherwise = lambda body: action
    house.open(settings_for(http_peer.port, max_backlog=MIB))
    for n in range(500):
        house.accept(request_of(f"{n}", padding=10 * KIB), 1)
    outcomes = house.outcomes()
    assert outcomes["expired"] > 390
    assert outcomes["queued"] + outcomes["expired"] == 500


def test_the_memory_of_a_destination_is_bounded(house: House, http_peer: HttpPeer) -> None:
    http_peer.otherwise = lambda body: Hang()
    house.open(settings_for(http_peer.port, max_backlog=8 * MIB, max_request_bytes=2 * MIB))
    tracemalloc.start()
    try:
        for n in range(400):
            payload = request_of(f"{n}", padding=250 * KIB)
            house.submit(payload, 1).result(20)
            house.accepted.clear()
        # The queue, one request joined from it, and what the peer in this process has read.
        assert tracemalloc.get_traced_memory()[0] < (8 + 2 + 2 + 1) * MIB
    finally:
        tracemalloc.stop()


def test_one_destination_does_not_wait_for_another(
    http_peer: HttpPeer, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    house = House("tempo", "jaeger")
    http_peer.otherwise = lambda body: Hang()
    house.open(settings_for(http_peer.port), settings_for(grpc_peer.port, "grpc", name="jaeger"))
    for n in range(20):
        house.accept(request_of(f"{n}"), 1)
    eventually(lambda: house.settled("jaeger"), "the good one has everything")
    assert house.outcomes("jaeger") == {"delivered": 20}
    assert house.outcomes("tempo") == {"queued": 20}
    house.close(seconds=0)


def test_the_time_of_each_request_is_measured(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.script.append(Answer(503))
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is delivered")
    (duration,) = (
        family.data
        for family in house.registry.snapshot()
        if family.family.name == "spanmill_export_duration_seconds"
    )
    assert duration.counts.tolist() == [2.0]  # type: ignore[union-attr]  # a histogram
