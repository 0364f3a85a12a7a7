"""In 512 MiB no load ends the process, and others are served again when it is over.

Each case sends far more than there is memory for, from many connections at once, while another
client (of another address) goes on sending. The peak that they measure stands in
docs/receiving.md: `pytest tests/receivers/test_load.py -rP`.
"""

from __future__ import annotations

import gzip
import http.client
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest

from receivers.clients import JSON, PROTOBUF, TIMEOUT, GrpcClient, HttpClient
from receivers.otlp_requests import good_body, request, span
from receivers.raw_http import RawHttp, post_head
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import MIB
from receivers.sent_signals import METRICS, TRACES, SentSignal
from receivers.separate_processor import SeparateProcessor
from spans.generated import field
from waiting import Eventually

LIMIT = 512 * MIB
CONNECTIONS = 40
THOUSANDS = 2500
NUMBERS = itertools.count(1)
Attack = Callable[[SeparateProcessor], object]

EMPTY_ATTRIBUTES = span().SerializeToString() + field(9, b"") * 1_000_000
SMALL_ATTRIBUTES = span().SerializeToString() + field(9, b"\x0a\x01k\x12\x02\x18\x01") * 700_000
JSON_OBJECTS = (
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","attributes":[%s]}]}]}]}'
    % (
        b"1" * 32,
        b",".join([b"{}"] * 2_000_000),
    )
)
BOMB = gzip.compress(field(1000, bytes(60 * MIB)))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeparateProcessor]:
    """One process for all of it: what one load leaves behind is there in the next."""
    processor = SeparateProcessor(
        tmp_path_factory.mktemp("load"), memory_limit=LIMIT, state={"durability": "memory"}
    )
    yield processor
    processor.close()


class Neighbour:
    """Another client that sends all the while, from another address of this machine."""

    def __init__(self, processor: SeparateProcessor) -> None:
        self._port = processor.port("http")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.outcomes: Counter[str | int] = Counter()

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ended.wait(0.05):
            client = HttpClient(self._port, PROTOBUF)
            client.connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, TIMEOUT, ("127.0.0.2", 0)
            )
            try:
                self.outcomes[client.send(fresh()).code] += 1
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
            client.close()


def fresh(content: bytes = b"") -> bytes:
    """A request that was never sent before, with these bytes beside it."""
    return request(span(seed=next(NUMBERS))).SerializeToString() + content


def at_once(send: Callable[[], str | int], times: int = 2) -> Counter[str | int]:
    """The outcomes of many connections at once."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        sent = [threads.submit(send) for _ in range(CONNECTIONS * times)]
    return Counter(answer.result() for answer in sent)


def over_grpc(
    processor: SeparateProcessor, body: Callable[[], bytes], signal: SentSignal = TRACES
) -> Counter[str | int]:
    def send() -> str | int:
        client = GrpcClient(processor.port("grpc"), signal)
        answer = client.send(body())
        client.close()
        return answer.code

    return at_once(send)


def over_http(
    processor: SeparateProcessor, body: Callable[[], bytes], media_type: str, encoding: str = ""
) -> Counter[str | int]:
    def send() -> str | int:
        client = HttpClient(processor.port("http"), media_type)
        try:
            return client.send_encoded(body(), {"Content-Encoding": encoding}).code
        except OSError:
            return "cut"  # refused while it was still sending
        finally:
            client.close()

    return at_once(send)


def slow_bodies(processor: SeparateProcessor) -> None:
    """Half of a body over each of many connections, and then a byte now and then."""
    with ExitStack() as connections:
        slow = []
        for _ in range(CONNECTIONS):
            over_http = connections.enter_context(RawHttp(processor.port("http")))
            over_http.send(post_head("Content-Length: 6000000"))
            over_grpc = connections.enter_context(RawConnection(processor.port("grpc")))
            over_grpc.begin(framed(bytes(10_000), length=6_000_000))
            slow.append(over_http)
        for piece in (bytes(3_000_000), b"x", b"x", b"x"):
            for each in slow:
                try:
                    each.send(piece)
                except OSError:
                    continue  # it gave way
            time.sleep(0.3)  # the load itself: a byte now and then


def silent_connections(processor: SeparateProcessor) -> None:
    """5,000 connections that say nothing."""
    with ExitStack() as connections:
        for transport in ("http", "grpc"):
            for _ in range(THOUSANDS):
                address = ("127.0.0.1", processor.port(transport))
                try:
                    connections.enter_context(socket.create_connection(address, TIMEOUT))
                except OSError:
                    break  # refused, as it may be


def many_calls(processor: SeparateProcessor) -> None:
    """Thousands of calls that never send their message, on a few connections."""
    with ExitStack() as connections:
        for _ in range(10):
            connection = connections.enter_context(RawConnection(processor.port("grpc")))
            for _ in range(400):
                connection.begin(framed(b"x" * 100, length=5_000_000))


SILENT_CONNECTIONS = "silent connections"
ATTACKS: dict[str, Attack] = {
    "large bodies over gRPC": lambda p: over_grpc(p, lambda: fresh(field(1000, bytes(6 * MIB)))),
    "large bodies over HTTP": lambda p: over_http(
        p, lambda: fresh(field(1000, bytes(6 * MIB))), PROTOBUF
    ),
    "bodies over the limit": lambda p: over_grpc(p, lambda: bytes(20 * MIB)),
    "gzip bombs": lambda p: over_http(p, lambda: BOMB, PROTOBUF, "gzip"),
    "millions of attributes": lambda p: over_grpc(
        p, lambda: fresh(field(1, field(2, field(2, SMALL_ATTRIBUTES))))
    ),
    "empty attributes of a resource": lambda p: over_grpc(
        p, lambda: fresh(field(1, field(1, field(1, b"") * 500_000)))
    ),
    "empty attributes in an old form": lambda p: over_grpc(
        p, lambda: fresh(field(1, field(1000, field(2, EMPTY_ATTRIBUTES))))
    ),
    "empty attributes of a point": lambda p: over_grpc(
        p, lambda: METRICS.in_item(field(METRICS.attributes, b"") * 400_000), METRICS
    ),
    "JSON of empty objects": lambda p: over_http(p, lambda: JSON_OBJECTS, JSON),
    "slow bodies": slow_bodies,
    "calls without a message": many_calls,
    SILENT_CONNECTIONS: silent_connections,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_bad_input_33_in_512_mib_no_load_ends_the_process(
    processor: SeparateProcessor, name: str, eventually: Eventually
) -> None:
    peak = 0
    with Neighbour(processor) as neighbour:
        attacking = threading.Thread(target=ATTACKS[name], args=(processor,))
        attacking.start()
        while attacking.is_alive():
            attacking.join(0.01)
            assert processor.alive
            peak = max(peak, processor.data_bytes)
    print(f"{peak // MIB} MiB of data; the neighbour: {dict(neighbour.outcomes)}")

    assert processor.alive
    expected: set[str | int] = {200, 503}
    if name == SILENT_CONNECTIONS:  # a thousand younger connections came before its request did
        expected.add("ConnectionResetError")
    assert set(neighbour.outcomes) <= expected
    assert neighbour.outcomes[200] > 0
    assert processor.peak_resident_bytes < LIMIT
    eventually(lambda: taken_over(processor, "grpc"), "gRPC goes on")
    eventually(lambda: taken_over(processor, "http"), "HTTP goes on")
    eventually(
        lambda: processor.metric("spanmill_receiver_in_flight_bytes") == 0, "all is given back"
    )
    assert not [line for line in processor.log() if line["level"] == "error"]


def taken_over(processor: SeparateProcessor, transport: str) -> bool:
    """Whether a request is taken now."""
    client: GrpcClient | HttpClient
    if transport == "grpc":
        client = GrpcClient(processor.port(transport))
    else:
        client = HttpClient(processor.port(transport), PROTOBUF)
    try:
        return client.send(fresh()).ok
    except (OSError, grpc.RpcError):
        return False
    finally:
        client.close()


def test_the_largest_request_of_a_usual_kind_is_taken_in_512_mib(
    processor: SeparateProcessor,
) -> None:
    body = b"".join(good_body(2000) for _ in range(20))
    assert len(body) > 2 * MIB
    client = GrpcClient(processor.port("grpc"))
    assert client.send(body).ok
    client.close()
