"""Pipelines and clients for tests of receivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from receivers.clients import Client
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import METRICS, TRACES, SentSignal


@pytest.fixture
def start_pipeline() -> Iterator[PipelineFactory]:
    """Start pipelines that end with the test."""
    started: list[ReceiverPipeline] = []

    def start(**settings: object) -> ReceiverPipeline:
        started.append(ReceiverPipeline(**settings))  # type: ignore[arg-type]  # passed on as they are
        return started[-1]

    yield start
    for pipeline in started:
        pipeline.stop()


@pytest.fixture
def pipeline(start_pipeline: PipelineFactory) -> ReceiverPipeline:
    """A pipeline with the default settings."""
    return start_pipeline()


@pytest.fixture(params=["grpc", "http-protobuf", "http-json"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport and encoding in turn."""
    name: str = request.param
    return name


@pytest.fixture
def signal() -> SentSignal:
    """What clients send, unless a test says otherwise."""
    return TRACES


@pytest.fixture
def client(pipeline: ReceiverPipeline, transport: str, signal: SentSignal) -> Client:
    """A client of the default pipeline over each transport in turn."""
    return pipeline.client(transport, signal)


@pytest.fixture
def neighbours(pipeline: ReceiverPipeline) -> Iterator[None]:
    """Other clients' requests are taken before, and on the same connections after, the test."""
    clients = [
        (pipeline.client(name, signal), signal.good(1))
        for name in ("grpc", "http-protobuf", "http-json")
        for signal in (TRACES, METRICS)
    ]
    for neighbour, body in clients:
        assert neighbour.send(body).ok
    yield
    for neighbour, body in clients:
        answer = neighbour.send(body)
        assert answer.ok, f"a neighbour over {neighbour.transport} got {answer}"
