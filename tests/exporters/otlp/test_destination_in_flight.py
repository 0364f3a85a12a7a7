"""A destination with several requests in flight."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from exporters.otlp.house import House
from exporters.otlp.log_lines import BACK, LOST, messages
from exporters.otlp.peers import Action, Answer, GrpcPeer, HttpPeer, taken_names
from exporters.otlp.requests import request_of
from exporters.otlp.settings_for import NEVER, settings_for
from spanmill.errors import StartError
from spanmill.exporters.otlp import factory
from spanmill.exporters.otlp.backoff import Backoff
from spanmill.exporters.otlp.delivery import JOIN_BYTES
from spanmill.exporters.otlp.send_window import MAX_BYTES_IN_FLIGHT
from spanmill.exporters.otlp.settings import RetrySettings
from waiting import Eventually

FULL = JOIN_BYTES * 3 // 4
SOON = RetrySettings(initial_interval=0.01, max_interval=0.01, multiplier=1.0)


class Gate:
    """Answers nobody before it is opened, and remembers how many waited at once."""

    def __init__(self, answer: Action = Answer()) -> None:  # noqa: B008 - it is frozen
        self._answer = answer
        self.opened = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self.most = 0

    def __call__(self, body: bytes) -> Action:
        with self._lock:
            self._waiting.append(body)
            self.most = max(self.most, len(self._waiting))
        self.opened.wait(20)
        with self._lock:
            self._waiting.remove(body)
        return self._answer

    @property
    def waiting(self) -> int:
        return len(self._waiting)


@pytest.mark.parametrize("kind", [HttpPeer, GrpcPeer])
def test_as_many_requests_as_allowed_are_in_flight_while_the_peer_is_slow(
    house: House, kind: type[HttpPeer | GrpcPeer], eventually: Eventually
) -> None:
    peer = kind()
    peer.otherwise = gate = Gate()
    protocol = "grpc" if kind is GrpcPeer else "http/protobuf"
    house.open(settings_for(peer.port, protocol, max_in_flight=3))  # type: ignore[arg-type]  # a Protocol
    for n in range(12):
        house.accept(request_of(f"{n:02d}", padding=FULL), 1)
    eventually(lambda: gate.waiting == 3, "three requests are in flight")
    assert house.outcomes() == {"queued": 12}
    gate.opened.set()
    eventually(house.settled, "all is delivered")
    assert gate.most == 3
    assert sorted(taken_names(peer)) == [f"{n:02d}" for n in range(12)]
    assert house.outcomes() == {"delivered": 12}
    house.close()
    peer.close()


def test_the_bytes_in_flight_are_bounded(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = gate = Gate()
    large = MAX_BYTES_IN_FLIGHT * 2 // 3
    house.open(
        settings_for(http_peer.port, max_in_flight=8, max_request_bytes=2 * MAX_BYTES_IN_FLIGHT)
    )
    for n in range(5):
        house.accept(request_of(f"{n}", padding=large), 1)
    eventually(lambda: gate.waiting == 2, "two requests are in flight")
    gate.opened.set()
    eventually(house.settled, "all is delivered")
    assert gate.most == 2


def test_an_outage_is_probed_by_one_request_at_a_time_and_ended_by_an_answer(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    http_peer.otherwise = gate = Gate()
    house.open(settings_for(http_peer.port, max_in_flight=4, retry=SOON))
    for n in range(8):
        house.accept(request_of(f"{n}", padding=FULL), 1)
    eventually(lambda: gate.waiting == 4, "four requests are in flight")

    lock = threading.Lock()
    probes: list[int] = []  # how many were under way when each began
    under_way = [0]

    def refuse(body: bytes) -> Action:
        with lock:
            under_way[0] += 1
            probes.append(under_way[0])
        threading.Event().wait(0.001)  # in which another one could begin
        with lock:
            under_way[0] -= 1
        return Answer(503)

    http_peer.close()
    gate.opened.set()
    eventually(lambda: LOST in messages(caplog), "it is lost")
    http_peer.otherwise = refuse
    http_peer.open()
    eventually(lambda: len(probes) >= 5, "it is probed")
    assert max(probes) == 1
    http_peer.otherwise = again = Gate()
    eventually(lambda: again.waiting == 1, "one probe is in flight")
    again.opened.set()
    eventually(house.settled, "all is delivered")
    assert messages(caplog) == [LOST, BACK]
    delivered = Counter(taken_names(http_peer))
    assert set(delivered) == {f"{n}" for n in range(8)}
    assert house.outcomes() == {"delivered": 8}


def test_requests_that_fail_together_are_one_failure(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float | None] = []

    def next_wait(self: Backoff, after: float | None) -> float:
        waits.append(after)
        return 0.0

    monkeypatch.setattr(Backoff, "next_wait", next_wait)
    gate = Gate(Answer(503))
    http_peer.otherwise = lambda body: gate(body) if len(http_peer.seen) <= 4 else Answer()
    house.open(settings_for(http_peer.port, max_in_flight=4))
    for n in range(4):
        house.accept(request_of(f"{n}", padding=FULL), 1)
    eventually(lambda: gate.waiting == 4, "four requests are in flight")
    gate.opened.set()
    eventually(house.settled, "all is delivered")
    assert house.outcomes() == {"delivered": 4}
    assert waits == [None]


def test_stopping_flushes_with_several_in_flight(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = gate = Gate()
    house.open(settings_for(http_peer.port, max_in_flight=4))
    for n in range(20):
        house.accept(request_of(f"{n:02d}", padding=FULL), 1)
    eventually(lambda: gate.waiting == 4, "four requests are in flight")
    gate.opened.set()
    house.close()
    assert sorted(taken_names(http_peer)) == [f"{n:02d}" for n in range(20)]
    assert house.outcomes() == {"delivered": 20}


def test_stopping_cuts_all_that_is_in_flight_at_the_deadline(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = gate = Gate()
    house.open(settings_for(http_peer.port, max_in_flight=4, timeout=1e6))
    for n in range(6):
        house.accept(request_of(f"{n}", padding=FULL), 1)
    eventually(lambda: gate.waiting == 4, "four requests are in flight")
    house.close(seconds=0.2)
    assert house.outcomes() == {"queued": 6}
    gate.opened.set()


def test_the_culprit_is_found_while_others_are_in_flight(
    house: House, http_peer: HttpPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda body: Answer(400, b"bad") if b"culprit" in body else Answer()
    http_peer.script.append(Answer(503))
    house.open(settings_for(http_peer.port, max_in_flight=4, retry=NEVER))
    house.accept(request_of("first"), 1)
    eventually(lambda: http_peer.seen, "the first attempt was made")
    names = [f"{n:03d}" for n in range(200)]
    for name in names:
        house.accept(request_of("culprit" if name == "077" else name, padding=40 * 1024), 1)
    house.close()
    assert sorted(taken_names(http_peer)) == sorted({"first", *names} - {"077"})
    assert house.outcomes() == {"delivered": 200, "rejected_by_peer": 1}
    assert len(http_peer.seen) < 60


def test_without_a_sender_for_more_it_goes_on_with_one(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = factory.build_sender
    built: list[object] = []

    def once(*arguments: object) -> object:
        if built:
            raise StartError("ca_file: can't use it")
        built.append(build(*arguments))  # type: ignore[arg-type]  # passed through
        return built[0]

    monkeypatch.setattr(factory, "build_sender", once)
    http_peer.otherwise = gate = Gate()
    house.open(settings_for(http_peer.port, max_in_flight=4))
    for n in range(8):
        house.accept(request_of(f"{n}", padding=FULL), 1)
    gate.opened.set()
    eventually(house.settled, "all is delivered")
    assert gate.most == 1
    assert messages(caplog) == ["no more requests can be in flight"]
