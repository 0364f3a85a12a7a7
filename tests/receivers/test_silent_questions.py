"""Health and reflection calls that ask nothing must not hold up those that do."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from receivers.clients import GrpcClient
from receivers.raw_http2 import RawConnection
from receivers.receiver_pipeline import ReceiverPipeline
from waiting import Eventually

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def ask(pipeline: ReceiverPipeline, path: str) -> None:
    """Ask a question of the service of this method, and see that it is answered."""
    client = GrpcClient(pipeline.grpc.port)
    try:
        if path == REFLECT:
            question = reflection_pb2.ServerReflectionRequest(list_services="")
            stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
            assert next(stub.ServerReflectionInfo(iter((question,)), timeout=20))
        else:
            health = health_pb2_grpc.HealthStub(client.channel)
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        client.close()


@pytest.mark.parametrize("path", [CHECK, WATCH, REFLECT])
def test_a_few_silent_calls_hold_up_no_question(
    pipeline: ReceiverPipeline, eventually: Eventually, path: str
) -> None:
    deadline = pipeline.grpc._side_services._deadline
    deadline._seconds = 3600  # however slow the machine is, none is cancelled by itself
    with RawConnection(pipeline.grpc.port) as silent:
        for _ in range(3):
            silent.begin(path=path)
        eventually(lambda: len(deadline._begun) == 3, "three threads wait for a question")
        ask(pipeline, path)
        # A reflection stream waits for its next question until its client's end arrives.
        eventually(lambda: len(deadline._begun) == 3, "the silent calls alone wait on")


@pytest.mark.parametrize("path", [CHECK, WATCH, REFLECT])
def test_many_silent_calls_are_cancelled_for_the_next_question(
    pipeline: ReceiverPipeline, eventually: Eventually, path: str
) -> None:
    deadline = pipeline.grpc._side_services._deadline
    deadline._seconds = 3600  # however slow the machine is, none is cancelled by itself
    with RawConnection(pipeline.grpc.port) as silent:
        for _ in range(6):
            silent.begin(path=path)
        eventually(lambda: len(deadline._begun) == 4, "every thread waits for a question")
        deadline._seconds = 0
        eventually(lambda: not deadline._begun, "they are let go")
        deadline._seconds = 20
        ask(pipeline, path)


def test_a_watch_without_a_question_is_told_so(pipeline: ReceiverPipeline) -> None:
    client = GrpcClient(pipeline.grpc.port)
    watch = client.channel.stream_stream(WATCH, bytes, bytes)
    with pytest.raises(grpc.RpcError) as raised:
        list(watch(iter(()), timeout=20))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    client.close()
