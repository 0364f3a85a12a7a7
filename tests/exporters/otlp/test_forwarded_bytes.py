"""What a destination gets, concatenated, equals what was accepted, concatenated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporters.otlp.house import House
from exporters.otlp.peers import GrpcPeer, HttpPeer
from exporters.otlp.requests import flatten, names_in, request_of
from exporters.otlp.settings_for import MIB, NEVER, settings_for
from spanmill.config.endpoints import Protocol
from waiting import Eventually

LARGEST_REAL_REQUEST = 20 * MIB


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
def test_real_spans_arrive_byte_for_byte_one_request_after_the_other(
    astronomy_requests: list[bytes],
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
            max_request_bytes=LARGEST_REAL_REQUEST,
            compression="gzip" if compression == "gzip" else "none",
        )
    )
    for request in astronomy_requests:
        house.accept(request, len(names_in(request)))
    eventually(house.settled, "all is delivered")
    assert b"".join(peer.taken) == b"".join(astronomy_requests)
    assert house.outcomes() == {"delivered": 64_151}
    house.close()


def test_real_spans_arrive_byte_for_byte_when_they_were_joined(
    astronomy_requests: list[bytes], peer: HttpPeer | GrpcPeer, protocol: Protocol
) -> None:
    peer.close()
    house = House("tempo")
    house.open(
        settings_for(peer.port, protocol, max_request_bytes=LARGEST_REAL_REQUEST, retry=NEVER)
    )
    for request in astronomy_requests:
        house.accept(request, len(names_in(request)))
    peer.open()
    house.close()
    assert b"".join(peer.taken) == b"".join(astronomy_requests)
    assert len(peer.taken) < 10
    assert house.outcomes() == {"delivered": 64_151}


def test_real_spans_arrive_whole_when_they_were_split(
    astronomy_requests: list[bytes],
    peer: HttpPeer | GrpcPeer,
    protocol: Protocol,
    eventually: Eventually,
) -> None:
    limit = 64 * 1024
    house = House("tempo")
    house.open(settings_for(peer.port, protocol, max_request_bytes=limit))
    for request in astronomy_requests:
        house.accept(request, len(names_in(request)))
    eventually(house.settled, "all is delivered")
    assert len(peer.taken) > len(astronomy_requests)
    assert max(len(body) for body in peer.taken) <= limit
    sent = [span for body in peer.taken for span in flatten(body)]
    assert sent == [span for request in astronomy_requests for span in flatten(request)]
    assert house.outcomes() == {"delivered": 64_151}
    house.close()


def test_fields_that_we_do_not_know_arrive(
    peer: HttpPeer | GrpcPeer, protocol: Protocol, eventually: Eventually
) -> None:
    unknown = b"\xfa\x7f\x03new"  # field 2047, of a version to come
    payload = request_of("a") + unknown
    house = House("tempo")
    house.open(settings_for(peer.port, protocol))
    house.accept(payload, 1)
    eventually(house.settled, "the request is delivered")
    assert peer.taken == [payload]
    house.close()
