"""Both receivers on real sockets, with the real decoder, in front of a journal in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from receivers.clients import JSON, PROTOBUF, Client, GrpcClient, HttpClient
from receivers.otlp_requests import good_body
from spanmill.clock import SystemClock
from spanmill.journal.log import Entry, MemoryJournal, Record
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.http import HttpReceiver
from spanmill.receivers.intake import TraceIntake
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values
from spanmill.spans.batch import SpanBatch
from spanmill.spans.decoder import DecodedRequest, load_decoder
from spanmill.telemetry import Telemetry

MIB = 1024 * 1024


class WatchedJournal(MemoryJournal[DecodedRequest | None]):
    """A journal that tells how many requests have reached it."""

    submitted = 0

    def submit(self, entry: Entry[DecodedRequest | None]) -> Future[Record[DecodedRequest | None]]:
        self.submitted += 1
        return super().submit(entry)


class ReceiverPipeline:
    """What stands behind the receivers, as small as it can be.

    With `committing` off, requests wait for their commit until `commit` is called.
    """

    def __init__(
        self,
        *,
        max_request_size: int = 64 * MIB,
        handler_threads: int = 32,
        attributes: tuple[str, ...] = (),
        committing: bool = True,
    ) -> None:
        clock = SystemClock()
        self.registry = Registry(clock)
        self.telemetry = Telemetry(self.registry)
        self.journal = WatchedJournal(clock, self.registry.lock)
        self.records: list[Record[DecodedRequest | None]] = []
        self.intake = TraceIntake(load_decoder(attributes), self.journal, self.telemetry, clock)
        self.grpc = GrpcReceiver(
            self.intake, "127.0.0.1", 0, max_request_size, handler_threads=handler_threads
        )
        self.http = HttpReceiver(self.intake, "127.0.0.1", 0, max_request_size)
        self._clients: list[Client] = []
        self._committing = False
        for receiver in (self.grpc, self.http):
            receiver.bind()
            receiver.start()
        if committing:
            self.commit()

    def commit(self) -> None:
        """Let the journal commit from now on."""
        self._committing = True
        self.journal.start(self._apply)

    def stop(self) -> None:
        """End everything."""
        for client in self._clients:
            client.close()
        for receiver in (self.grpc, self.http):
            receiver.stop(5)
        if not self._committing:
            self.commit()
        self.journal.close()

    def client(self, transport: str) -> Client:
        """A new client with its own connection."""
        client: Client
        if transport == "grpc":
            client = GrpcClient(self.grpc.port)
        else:
            client = self.http_client(JSON if transport == "http-json" else PROTOBUF)
        self._clients.append(client)
        return client

    def http_client(self, media_type: str = PROTOBUF) -> HttpClient:
        """A new HTTP client, with all that only HTTP has."""
        client = HttpClient(self.http.port, media_type)
        self._clients.append(client)
        return client

    @property
    def batches(self) -> list[SpanBatch]:
        """What was committed, in order."""
        decoded = [record.entry.decoded for record in self.records]
        return [request.batch for request in decoded if request is not None]

    @property
    def payload(self) -> bytes:
        """What a destination gets, concatenated."""
        return b"".join(record.entry.payload for record in self.records)

    def requests(self, receiver: str, outcome: str, signal: str = "traces") -> int:
        """`spanmill_receiver_requests_total`."""
        return self._value("spanmill_receiver_requests_total", (receiver, signal, outcome))

    def spans(self, outcome: str) -> int:
        """`spanmill_spans_received_total`."""
        return self._value("spanmill_spans_received_total", (outcome,))

    def _value(self, name: str, labels: tuple[str, ...]) -> int:
        for family in self.registry.snapshot():
            if family.family.name == name and labels in family.labels:
                assert isinstance(family.data, Values)
                return int(family.data.values[family.labels.index(labels)])
        return 0

    def _apply(self, record: Record[DecodedRequest | None]) -> None:
        decoded = record.entry.decoded
        assert decoded is not None
        self.telemetry.spans_received.add(len(decoded.batch), "accepted")
        self.telemetry.spans_received.add(decoded.rejected_spans, "invalid")
        for reason, spans in decoded.rejected.items():
            self.telemetry.refused_items.add(spans, reason)
        self.records.append(record)


PipelineFactory = Callable[..., ReceiverPipeline]


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
def client(pipeline: ReceiverPipeline, transport: str) -> Client:
    """A client of the default pipeline over each transport in turn."""
    return pipeline.client(transport)


@pytest.fixture
def neighbours(pipeline: ReceiverPipeline) -> Iterator[None]:
    """Other clients' requests are taken before, and on the same connections after, the test."""
    clients = [pipeline.client(name) for name in ("grpc", "http-protobuf", "http-json")]
    for neighbour in clients:
        assert neighbour.send(good_body()).ok
    yield
    for neighbour in clients:
        answer = neighbour.send(good_body())
        assert answer.ok, f"a neighbour over {neighbour.transport} got {answer}"
