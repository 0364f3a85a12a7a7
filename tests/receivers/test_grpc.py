"""The gRPC receiver: its address, the effect of every option, and failures behind it."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from receivers.clients import EXPORT, GrpcClient
from receivers.otlp_requests import good_body
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, SentSignal
from spanmill.errors import StartError
from spanmill.receivers.grpc import GrpcReceiver, server_options
from waiting import Eventually

Options = list[tuple[str, int]]
MAX_REQUEST_SIZE = 10_000
MAX_CONNECTIONS = 2
GZIP = [("grpc-encoding", "gzip")]


class OptionServer:
    """A bare server with some options, which keeps the messages it gets."""

    def __init__(self, options: Options, port: int = 0) -> None:
        self.messages: list[bytes] = []
        service, method = EXPORT.strip("/").split("/")
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        self.server = grpc.server(
            ThreadPoolExecutor(2),
            handlers=[grpc.method_handlers_generic_handler(service, {method: handler})],
            options=options,
        )
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def _export(self, message: bytes, _: grpc.ServicerContext) -> bytes:
        self.messages.append(message)
        return b""


StartServer = Callable[..., OptionServer]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers that end with the test."""
    started: list[OptionServer] = []

    def start(options: Options, port: int = 0) -> OptionServer:
        started.append(OptionServer(options, port))
        return started[-1]

    yield start
    for option_server in started:
        option_server.server.stop(None)


def ours() -> Options:
    return server_options(MAX_REQUEST_SIZE, MAX_CONNECTIONS)


def ours_without(*names: str) -> Options:
    options = [(name, value) for name, value in ours() if name not in names]
    assert len(options) == len(ours()) - len(names)
    return options


def test_option_so_reuseport_keeps_a_second_server_off_the_port(start_server: StartServer) -> None:
    port = start_server(ours()).port
    with pytest.raises(RuntimeError, match="Failed to bind"):
        start_server(ours(), port)

    shared = start_server(ours_without("grpc.so_reuseport")).port
    assert start_server(ours_without("grpc.so_reuseport"), shared).port == shared


def test_option_max_receive_message_length_is_the_limit(start_server: StartServer) -> None:
    over = framed(bytes(MAX_REQUEST_SIZE + 1))
    with RawConnection(start_server(ours()).port) as connection:
        assert connection.call(framed(bytes(MAX_REQUEST_SIZE))).status == 0
        assert connection.call(over).status == 8

    without = start_server(ours_without("grpc.max_receive_message_length"))
    with RawConnection(without.port) as connection:
        assert connection.call(over).status == 0


def test_option_per_message_decompression_leaves_inflating_to_us(
    start_server: StartServer,
) -> None:
    compressed = gzip.compress(b"spans")
    server = start_server(ours())
    inflating = start_server(ours_without("grpc.per_message_decompression"))
    for port in (server.port, inflating.port):
        with RawConnection(port) as connection:
            assert connection.call(framed(compressed, flag=1), headers=GZIP).status == 0

    assert server.messages == [compressed]
    assert inflating.messages == [b"spans"]


def test_option_enabled_algorithms_leaves_identity_and_gzip(start_server: StartServer) -> None:
    deflated = framed(zlib.compress(b"spans"), flag=1)
    deflate = [("grpc-encoding", "deflate")]
    with RawConnection(start_server(ours()).port) as connection:
        assert connection.call(deflated, headers=deflate).status == 12  # UNIMPLEMENTED
        accepted = connection.call(framed(b"")).headers["grpc-accept-encoding"]
        assert accepted == "identity, gzip"

    without = start_server(ours_without("grpc.compression_enabled_algorithms_bitset"))
    with RawConnection(without.port) as connection:
        assert connection.call(deflated, headers=deflate).status == 0


def test_option_max_ping_strikes_forgives_frequent_pings(start_server: StartServer) -> None:
    with RawConnection(start_server(ours()).port) as connection:
        assert connection.ping(20) == (20, None)

    without = start_server(ours_without("grpc.http2.max_ping_strikes"))
    with RawConnection(without.port) as connection:
        answered, reason = connection.ping(20)
    assert answered < 20
    assert reason == b"too_many_pings"


def test_options_for_pings_without_calls_permit_them(start_server: StartServer) -> None:
    strict = ours_without("grpc.http2.max_ping_strikes")
    permit, interval = (
        "grpc.keepalive_permit_without_calls",
        "grpc.http2.min_ping_interval_without_data_ms",
    )
    no_interval = [(name, 0 if name == interval else value) for name, value in strict]
    without_permit = [option for option in no_interval if option[0] != permit]
    assert len(without_permit) == len(strict) - 1

    with RawConnection(start_server(no_interval).port) as connection:
        assert connection.ping(20) == (20, None)
    # Each of the two alone leaves the limit of one ping in five minutes, or in two hours.
    for options in (without_permit, [option for option in strict if option[0] != interval]):
        with RawConnection(start_server(options).port) as connection:
            assert connection.ping(20)[1] == b"too_many_pings"


def test_option_max_allowed_incoming_connections_bounds_them(
    start_server: StartServer, eventually: Eventually
) -> None:
    port = start_server(ours()).port
    first, second = (RawConnection(port) for _ in range(MAX_CONNECTIONS))
    with second:
        with first:
            assert first.ping(1) == second.ping(1) == (1, None)
            with RawConnection(port) as third, pytest.raises(ConnectionError):
                third.ping(1)
        eventually(lambda: is_served(port), "a place is free again")

    without = start_server(ours_without("grpc.max_allowed_incoming_connections"))
    connections = [RawConnection(without.port) for _ in range(MAX_CONNECTIONS + 1)]
    for connection in connections:
        with connection:
            assert connection.ping(1) == (1, None)


def is_served(port: int) -> bool:
    try:
        with RawConnection(port) as connection:
            return connection.ping(1) == (1, None)
    except ConnectionError:
        return False


@pytest.fixture
def make_receiver(pipeline: ReceiverPipeline) -> Iterator[Callable[[str, int], GrpcReceiver]]:
    """Make receivers that end with the test."""
    made: list[GrpcReceiver] = []

    def make(host: str, port: int) -> GrpcReceiver:
        made.append(GrpcReceiver(pipeline.intakes, host, port, MAX_REQUEST_SIZE, handler_threads=2))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop(0)


MakeReceiver = Callable[[str, int], GrpcReceiver]


def test_a_taken_port_is_one_sentence(
    pipeline: ReceiverPipeline, make_receiver: MakeReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = pipeline.grpc.endpoint
    with pytest.raises(StartError) as refused:
        make_receiver("127.0.0.1", pipeline.grpc.port).bind()

    assert str(refused.value) == f"OTLP gRPC receiver {taken}: address already in use"
    assert capfd.readouterr().err == "", "grpcio's own lines would stand beside ours"


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.0.0.1", "a" * 70 + ".invalid"])
def test_a_host_without_an_address_is_one_sentence(make_receiver: MakeReceiver, host: str) -> None:
    with pytest.raises(StartError, match=f"OTLP gRPC receiver {host}:0: "):
        make_receiver(host, 0).bind()


def test_an_address_of_another_machine_is_one_sentence(make_receiver: MakeReceiver) -> None:
    with pytest.raises(StartError, match="requested address"):
        make_receiver("192.0.2.1", 0).bind()


def test_an_ipv6_address_is_written_in_brackets(
    make_receiver: MakeReceiver, pipeline: ReceiverPipeline
) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    receiver = make_receiver("::1", 0)
    try:
        receiver.bind()
    except StartError as error:
        pytest.skip(str(error))
    receiver.start()

    assert receiver.endpoint == f"[::1]:{receiver.port}"
    channel = grpc.insecure_channel(receiver.endpoint)
    export = channel.unary_unary(EXPORT, request_serializer=bytes, response_deserializer=bytes)
    assert export(good_body(), timeout=20) == b""
    channel.close()
    assert pipeline.records[-1].entry.source == "::1"


def test_clients_that_connect_between_bind_and_start_are_served(
    make_receiver: MakeReceiver,
) -> None:
    receiver = make_receiver("127.0.0.1", 0)
    receiver.bind()
    client = GrpcClient(receiver.port)
    waiting = client.export.future(good_body(), timeout=20)

    receiver.start()

    assert waiting.result() == b""
    client.close()


@BOTH_SIGNALS
def test_a_closed_journal_is_unavailable_with_retry_info(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    client = pipeline.client("grpc", signal)
    pipeline.journal.close()

    answer = client.send(signal.good(2))

    assert answer.code == "UNAVAILABLE"
    assert answer.retry_after == 1.0
    assert pipeline.requests("grpc", "refused", signal.name) == 1
    assert pipeline.items(signal.name, "refused") == 2


def test_the_source_is_the_host_of_the_peer(pipeline: ReceiverPipeline) -> None:
    assert pipeline.client("grpc").send(good_body()).ok

    assert pipeline.records[0].entry.source == "127.0.0.1"


def test_a_call_that_is_cancelled_before_it_is_handled_is_not_taken(
    start_pipeline: PipelineFactory, eventually: Eventually
) -> None:
    pipeline = start_pipeline(handler_threads=1, committing=False)
    client = GrpcClient(pipeline.grpc.port)
    first = client.export.future(good_body())
    eventually(lambda: pipeline.journal.submitted == 1, "the only handler waits for its commit")
    with RawConnection(pipeline.grpc.port) as connection:
        connection.reset(connection.begin(framed(good_body())))
        assert connection.ping(1) == (1, None)  # the server has seen the reset

        pipeline.commit()
        assert first.result(timeout=20) == b""
        assert connection.call(framed(good_body())).status == 0

    client.close()
    assert pipeline.journal.submitted == 2


def test_a_fault_behind_the_receiver_is_internal_and_logged(
    pipeline: ReceiverPipeline,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a fault of ours")

    client = pipeline.client("grpc")
    with monkeypatch.context() as broken:
        broken.setattr(pipeline.intakes[0], "take", fail)
        answer = client.send(good_body())

    assert answer.code == "INTERNAL"
    assert "a fault of ours" in caplog.text
    assert client.send(good_body()).ok
