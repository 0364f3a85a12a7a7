"""What OTLP promises of connections and of the end: promises 21 and 22."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from receivers.clients import Answer, GrpcClient
from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, SentSignal
from spanmill.receivers.grpc import GrpcReceiver, server_options
from waiting import Eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
TRANSPORTS = ("grpc", "http-protobuf", "http-json")
TRACE_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
METRICS_SERVICE = "opentelemetry.proto.collector.metrics.v1.MetricsService"


@pytest.fixture
def channel(pipeline: ReceiverPipeline) -> Iterator[grpc.Channel]:
    client = GrpcClient(pipeline.grpc.port)
    yield client.channel
    client.close()


@pytest.mark.parametrize("service", ["", TRACE_SERVICE, METRICS_SERVICE])
def test_promise_21_the_health_service_says_serving(channel: grpc.Channel, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(channel)

    assert stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status == SERVING


def test_promise_21_the_health_service_does_not_know_others(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)

    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="shop.Cart"), timeout=20)

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_promise_21_health_answers_while_every_handler_waits(
    start_pipeline: PipelineFactory, eventually: Eventually
) -> None:
    pipeline = start_pipeline(handler_threads=2, committing=False)
    client = GrpcClient(pipeline.grpc.port)
    waiting = [client.export.future(good_body()) for _ in range(4)]
    eventually(lambda: pipeline.journal.submitted == 2, "both handlers wait for a commit")

    stub = health_pb2_grpc.HealthStub(client.channel)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == SERVING

    pipeline.commit()
    assert [call.result(timeout=20) for call in waiting] == [b""] * 4
    client.close()


@pytest.mark.parametrize("service", [TRACE_SERVICE, METRICS_SERVICE])
def test_promise_21_reflection_describes_the_services(channel: grpc.Channel, service: str) -> None:
    ask = reflection_pb2.ServerReflectionRequest
    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([ask(list_services=""), ask(file_containing_symbol=service)]), timeout=20
    )

    services, files = list(answers)

    names = {found.name for found in services.list_services_response.service}
    assert {TRACE_SERVICE, METRICS_SERVICE, "grpc.health.v1.Health"} <= names
    described = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in files.file_descriptor_response.file_descriptor_proto
    ]
    methods = {
        f"{file.package}.{described_service.name}/{method.name}"
        for file in described
        for described_service in file.service
        for method in described_service.method
    }
    assert f"{service}/Export" in methods


def test_promise_21_open_reflection_streams_take_no_handler(
    start_pipeline: PipelineFactory,
) -> None:
    pipeline = start_pipeline(handler_threads=1)
    client = GrpcClient(pipeline.grpc.port)
    end = threading.Event()

    def question() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        end.wait(20)

    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    streams = [stub.ServerReflectionInfo(question()) for _ in range(2)]
    for stream in streams:
        next(stream)

    assert client.send(good_body()).ok
    end.set()
    client.close()


def test_promise_21_keep_alive_pings_are_accepted(pipeline: ReceiverPipeline) -> None:
    with RawConnection(pipeline.grpc.port) as connection:
        assert connection.ping(50) == (50, None)
        assert connection.call(framed(good_body())).status == 0
        assert connection.ping(50) == (50, None)


def test_promise_21_nothing_ends_a_connection_for_an_idle_hour_or_for_its_age() -> None:
    options = dict(server_options(1, 1))

    # An idle hour is nothing; one that says nothing for much longer gives its place away.
    assert options["grpc.max_connection_idle_ms"] == 2 * 3600 * 1000
    # Without these, grpcio's limits are infinite.
    assert not options.keys() & {
        "grpc.max_connection_age_ms",
        "grpc.max_connection_age_grace_ms",
        "grpc.client_idle_timeout_ms",
    }


class Send:
    """Requests in flight, one over each transport."""

    def __init__(self, pipeline: ReceiverPipeline, signal: SentSignal) -> None:
        self._threads = ThreadPoolExecutor(len(TRANSPORTS))
        self.answers: dict[str, Future[Answer]] = {
            name: self._threads.submit(pipeline.client(name, signal).send, signal.good(1))
            for name in TRANSPORTS
        }


def stop_in_thread(pipeline: ReceiverPipeline, grace_seconds: float) -> threading.Thread:
    def stop() -> None:
        threads = [
            threading.Thread(target=receiver.stop, args=(grace_seconds,))
            for receiver in (pipeline.grpc, pipeline.http)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def refuses_connections(port: int) -> bool:
    try:
        RawHttp(port).__exit__()
    except OSError:
        return True
    return False


@BOTH_SIGNALS
def test_promise_22_a_shutdown_takes_no_new_requests_and_answers_those_in_flight(
    start_pipeline: PipelineFactory, eventually: Eventually, signal: SentSignal
) -> None:
    pipeline = start_pipeline(committing=False)
    in_flight = Send(pipeline, signal)
    eventually(lambda: pipeline.journal.submitted == len(TRANSPORTS), "all wait for the commit")

    stopping = stop_in_thread(pipeline, grace_seconds=20)
    for port in (pipeline.grpc.port, pipeline.http.port):
        eventually(functools.partial(refuses_connections, port), "nobody listens any more")
    assert not any(answer.done() for answer in in_flight.answers.values())
    pipeline.commit()

    assert {name: answer.result(20).ok for name, answer in in_flight.answers.items()} == (
        dict.fromkeys(TRANSPORTS, True)
    )
    stopping.join(20)
    assert not stopping.is_alive()
    assert pipeline.items(signal.name, "accepted") == len(TRANSPORTS)


@BOTH_SIGNALS
def test_promise_22_a_shutdown_ends_within_its_deadline_behind_a_journal_that_hangs(
    start_pipeline: PipelineFactory, eventually: Eventually, signal: SentSignal
) -> None:
    pipeline = start_pipeline(committing=False)
    in_flight = Send(pipeline, signal)
    eventually(lambda: pipeline.journal.submitted == len(TRANSPORTS), "all wait for the commit")

    stopping = stop_in_thread(pipeline, grace_seconds=0.1)

    stopping.join(10)
    assert not stopping.is_alive()
    answer = in_flight.answers["grpc"].result(20)
    assert answer.code in ("CANCELLED", "UNAVAILABLE"), "on anything else clients drop the spans"
    for name in ("http-protobuf", "http-json"):
        http = in_flight.answers[name]
        assert http.exception(20) is not None or http.result().code == 503


@BOTH_SIGNALS
def test_promise_22_abandoned_requests_let_go_of_their_threads(
    start_pipeline: PipelineFactory, eventually: Eventually, signal: SentSignal
) -> None:
    pipeline = start_pipeline(committing=False)
    in_flight = Send(pipeline, signal)
    eventually(lambda: pipeline.journal.submitted == len(TRANSPORTS), "all wait for the commit")

    for intake in pipeline.intakes:
        intake.abandon()

    for name, future in in_flight.answers.items():
        answer = future.result(20)
        assert answer.code == ("UNAVAILABLE" if name == "grpc" else 503)
        assert answer.retry_after == 1
    pipeline.commit()
    eventually(
        lambda: pipeline.items(signal.name, "accepted") == len(TRANSPORTS), "the commits go on"
    )


def test_promise_22_half_a_request_holds_no_shutdown_over_its_deadline(
    start_pipeline: PipelineFactory,
) -> None:
    pipeline = start_pipeline()
    with RawHttp(pipeline.http.port) as over_http, RawConnection(pipeline.grpc.port) as over_grpc:
        over_http.send(post_head("Content-Length: 100") + b"half")
        over_grpc.begin(framed(b"half", length=100))

        stopping = stop_in_thread(pipeline, grace_seconds=0.1)
        stopping.join(10)

    assert not stopping.is_alive()


def test_promise_22_health_says_not_serving_and_watchers_are_let_go(
    pipeline: ReceiverPipeline, channel: grpc.Channel
) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
    seen = [next(watch).status]

    stopping = stop_in_thread(pipeline, grace_seconds=20)
    with pytest.raises(grpc.RpcError):
        seen.extend(response.status for response in watch)
    stopping.join(10)

    assert not stopping.is_alive(), "an open watch held up the shutdown"
    assert seen == [SERVING, NOT_SERVING]


def test_promise_22_a_receiver_that_never_started_stops(pipeline: ReceiverPipeline) -> None:
    receiver = GrpcReceiver(pipeline.intakes, "127.0.0.1", 0, 1000, handler_threads=1)
    receiver.bind()
    receiver.stop(1)
