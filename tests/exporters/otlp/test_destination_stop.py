"""How a destination ends: what is queued is flushed, within one deadline."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporters.otlp.house import House
from exporters.otlp.peers import (
    Action,
    Answer,
    Drip,
    GrpcPeer,
    Hang,
    HttpPeer,
    Reset,
    taken_names,
)
from exporters.otlp.requests import request_of
from exporters.otlp.settings_for import NEVER, settings_for
from spanmill.journal.dead_letters import DeadLetters
from spanmill.journal.files import RealFiles
from waiting import Eventually


def test_stopping_flushes_what_is_queued_and_says_how_much(http_peer: HttpPeer) -> None:
    house = House("tempo")
    destination = house.destination(settings_for(http_peer.port))
    house.open()
    futures = [house.submit(request_of(f"{n}"), 1) for n in range(300)]
    for future in futures:
        future.result(20)
    before = house.outcomes().get("delivered", 0)
    house.journal.close()
    flushed = destination.stop(time.monotonic() + 20)
    assert flushed.name == "tempo"
    assert flushed.left == 0
    assert flushed.items <= 300 - before
    assert house.outcomes() == {"delivered": 300}
    assert b"".join(http_peer.taken) == b"".join(house.accepted)


def test_stopping_ends_a_long_wait_with_one_more_attempt(
    http_peer: HttpPeer, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    house = House("tempo")
    http_peer.script.append(Answer(503, headers={"retry-after": "3600"}))
    destination = house.destination(settings_for(http_peer.port, retry=NEVER))
    house.open()
    house.accept(request_of("a", "b"), 2)
    eventually(lambda: caplog.records, "it waits to try again")
    house.journal.close()
    flushed = destination.stop(time.monotonic() + 20)
    assert (flushed.items, flushed.left) == (2, 0)
    assert taken_names(http_peer) == ["a", "b"]


@pytest.mark.parametrize("action", [Hang(), Drip(), Answer(503), Reset()])
def test_stopping_gives_up_at_the_deadline(
    http_peer: HttpPeer, eventually: Eventually, action: Action
) -> None:
    house = House("tempo")
    http_peer.otherwise = lambda body: action
    destination = house.destination(settings_for(http_peer.port, timeout=1e6))
    house.open()
    house.accept(request_of("a", "b"), 2)
    eventually(lambda: http_peer.seen, "a request is in flight")
    house.journal.close()
    flushed = destination.stop(time.monotonic() + 0.2)
    assert (flushed.items, flushed.left) == (0, 2)
    assert house.outcomes() == {"queued": 2}


@pytest.mark.parametrize("is_lost", [True, False])
def test_what_is_on_disk_is_not_waited_for_where_the_destination_fails(
    http_peer: HttpPeer, eventually: Eventually, tmp_path: Path, is_lost: bool
) -> None:
    house = House("tempo")
    letters = DeadLetters(RealFiles(), tmp_path, house.clock, max_bytes=1 << 20, max_age=3600)
    destination = house.destination(settings_for(http_peer.port, retry=NEVER), letters)
    house.open()
    if is_lost:
        http_peer.otherwise = lambda body: Answer(503)
        house.accept(request_of("a", "b"), 2)
        eventually(lambda: destination._outbox._outage.lasts, "it is lost")
        house.journal.close()
        seen = len(http_peer.seen)
    else:
        http_peer.otherwise = lambda body: Hang()
        house.accept(request_of("a", "b"), 2)
        eventually(lambda: http_peer.seen, "a request is in flight")
        house.journal.close()
        destination.begin_stop(time.monotonic() + 1000)
        http_peer.close()
        seen = len(http_peer.seen)
    flushed = destination.stop(time.monotonic() + 1000)  # it would last that long
    assert (flushed.items, flushed.left) == (0, 2)
    assert len(http_peer.seen) == seen
    assert house.outcomes() == {"queued": 2}


def test_what_is_on_disk_is_flushed_to_a_destination_that_answers(
    http_peer: HttpPeer, tmp_path: Path
) -> None:
    house = House("tempo")
    letters = DeadLetters(RealFiles(), tmp_path, house.clock, max_bytes=1 << 20, max_age=3600)
    destination = house.destination(settings_for(http_peer.port), letters)
    house.open()
    for n in range(300):
        house.accept(request_of(f"{n}"), 1)
    house.journal.close()
    assert destination.stop(time.monotonic() + 20).left == 0
    assert house.outcomes() == {"delivered": 300}


def test_stopping_ends_a_grpc_request_in_flight_at_the_deadline(
    grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    house = House("tempo")
    grpc_peer.otherwise = lambda body: Hang()
    destination = house.destination(settings_for(grpc_peer.port, "grpc", timeout=1e5))
    house.open()
    house.accept(request_of("a"), 1)
    eventually(lambda: grpc_peer.seen, "a request is in flight")
    house.journal.close()
    assert destination.stop(time.monotonic() + 0.2).left == 1


def test_stopping_an_idle_destination_takes_no_time(
    http_peer: HttpPeer, eventually: Eventually
) -> None:
    house = House("tempo")
    destination = house.destination(settings_for(http_peer.port))
    house.open()
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is delivered")
    house.journal.close()
    begun = time.monotonic()
    flushed = destination.stop(begun + 1000)
    assert time.monotonic() - begun < 20
    assert (flushed.items, flushed.left) == (0, 0)


def test_a_destination_that_was_never_started_stops(http_peer: HttpPeer) -> None:
    house = House("tempo")
    destination = house.destination(settings_for(http_peer.port))
    assert destination.stop(time.monotonic() + 20).left == 0
