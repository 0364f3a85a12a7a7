"""What a destination gets, concatenated, equals what was accepted, concatenated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from exporters.otlp.house import House
from exporters.otlp.peers import GrpcPeer, HttpPeer
from exporters.otlp.requests import flatten, flatten_metrics, metrics_of, request_of
from exporters.otlp.settings_for import MIB, NEVER, settings_for
from spanmill.config.endpoints import Protocol
from spanmill.exporters.otlp.delivery import JOIN_BYTES
from spanmill.exporters.otlp.signals import METRICS, TRACES, OtlpSignal
from waiting import Eventually

LARGEST_REAL_REQUEST = 20 * MIB


@dataclass(frozen=True)
class Recorded:
    """Real requests of one signal; `flat` takes one apart, item by item."""

    signal: OtlpSignal
    requests: Sequence[bytes]
    flat: Callable[[bytes], Sequence[object]]

    def items(self, body: bytes) -> int:
        return len(self.flat(body))

    @property
    def total(self) -> int:
        return sum(map(self.items, self.requests))

    def accept_all(self, house: House) -> None:
        for body in self.requests:
            house.accept(body, self.items(body), self.signal)


@pytest.fixture(params=["traces", "metrics"])
def recorded(request: pytest.FixtureRequest) -> Recorded:
    if request.param == "traces":
        return Recorded(TRACES, request.getfixturevalue("astronomy_requests"), flatten)
    metrics = request.getfixturevalue("host_metric_requests")
    return Recorded(METRICS, metrics, flatten_metrics)


@pytest.fixture(params=["http/protobuf", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    chosen: Protocol = request.param
    return chosen


@pytest.fixture
def peer(protocol: Protocol) -> Iterator[HttpPeer | GrpcPeer]:
    peer = GrpcPeer(options={"grpc.max_receive_message_length": -1}) if protocol == "grpc" else None
    running = peer or HttpPeer()
    yield running
    running.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_real_requests_arrive_byte_for_byte_one_after_the_other(
    recorded: Recorded,
    peer: HttpPeer | GrpcPeer,
    protocol: Protocol,
    compression: str,
    eventually: Eventually,
) -> None:
    house = House("tempo")
    house.open(
        settings_for(
            peer.port,
            protocol,
            signal=recorded.signal,
            max_request_bytes=LARGEST_REAL_REQUEST,
            compression="gzip" if compression == "gzip" else "none",
        )
    )
    recorded.accept_all(house)
    eventually(lambda: house.settled("tempo", recorded.signal), "all is delivered")
    assert b"".join(peer.taken) == b"".join(recorded.requests)
    assert house.outcomes("tempo", recorded.signal) == {"delivered": recorded.total}
    path = recorded.signal.method if protocol == "grpc" else recorded.signal.path
    assert set(peer.paths) == {path}
    house.close()


def test_real_requests_arrive_byte_for_byte_when_they_were_joined(
    recorded: Recorded, peer: HttpPeer | GrpcPeer, protocol: Protocol
) -> None:
    peer.close()
    house = House("tempo")
    house.open(
        settings_for(
            peer.port,
            protocol,
            signal=recorded.signal,
            max_request_bytes=LARGEST_REAL_REQUEST,
            retry=NEVER,
        )
    )
    recorded.accept_all(house)
    peer.open()
    house.close()
    assert b"".join(peer.taken) == b"".join(recorded.requests)
    total = sum(map(len, recorded.requests))
    # Two that follow each other are more than one would hold.
    assert len(peer.taken) <= 2 * total / JOIN_BYTES + 2
    assert house.outcomes("tempo", recorded.signal) == {"delivered": recorded.total}


def test_real_requests_arrive_whole_when_they_were_split(
    recorded: Recorded, peer: HttpPeer | GrpcPeer, protocol: Protocol, eventually: Eventually
) -> None:
    limit = 64 * 1024 if recorded.signal is TRACES else 8 * 1024
    house = House("tempo")
    house.open(settings_for(peer.port, protocol, signal=recorded.signal, max_request_bytes=limit))
    recorded.accept_all(house)
    eventually(lambda: house.settled("tempo", recorded.signal), "all is delivered")
    assert len(peer.taken) > len(recorded.requests)
    assert max(len(body) for body in peer.taken) <= limit
    sent = [item for body in peer.taken for item in recorded.flat(body)]
    assert sent == [item for body in recorded.requests for item in recorded.flat(body)]
    assert house.outcomes("tempo", recorded.signal) == {"delivered": recorded.total}
    house.close()


@pytest.mark.parametrize(
    ("signal", "body"), [(TRACES, request_of("a")), (METRICS, metrics_of("a"))], ids=["t", "m"]
)
def test_fields_that_we_do_not_know_arrive(
    peer: HttpPeer | GrpcPeer,
    protocol: Protocol,
    eventually: Eventually,
    signal: OtlpSignal,
    body: bytes,
) -> None:
    unknown = b"\xfa\x7f\x03new"  # field 2047, of a version to come
    house = House("tempo")
    house.open(settings_for(peer.port, protocol, signal=signal))
    house.accept(body + unknown, 1, signal)
    eventually(lambda: house.settled("tempo", signal), "the request is delivered")
    assert peer.taken == [body + unknown]
    house.close()
