"""Both receivers on real sockets, with the real decoder, in front of a journal in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import TypeVar

from receivers.clients import JSON, PROTOBUF, Client, GrpcClient, HttpClient
from receivers.sent_signals import TRACES, SentSignal
from spanmill.clock import SystemClock
from spanmill.journal.log import Entry, Record
from spanmill.journal.memory import MemoryJournal
from spanmill.points.batch import PointBatch
from spanmill.points.decoder import DecodedMetrics
from spanmill.receivers.admission import Admission
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.http import HttpReceiver
from spanmill.receivers.intake import Intake
from spanmill.receivers.once import Once
from spanmill.receivers.signals import TAKEN_METRICS, Decoded, taken_traces
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values
from spanmill.spans.batch import SpanBatch
from spanmill.spans.decoder import DecodedRequest
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry

MIB = 1024 * 1024
R = TypeVar("R", GrpcReceiver, HttpReceiver)


class WatchedJournal(MemoryJournal[Decoded | None]):
    """A journal that tells how many requests have reached it."""

    submitted = 0

    def submit(self, entry: Entry[Decoded | None]) -> Future[Record[Decoded | None]]:
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
        once: Once | None = None,
        admission: Admission | None = None,
    ) -> None:
        clock = SystemClock()
        self.registry = Registry(clock)
        self.telemetry = Telemetry(self.registry)
        self.journal = WatchedJournal(clock, self.registry.lock)
        self.records: list[Record[Decoded | None]] = []
        self.intakes = [
            Intake(taken, self.journal, self.telemetry, clock, once)
            for taken in (taken_traces(load_decoder(attributes)), TAKEN_METRICS)
        ]
        self._once = once
        self._admission = admission
        self._max_request_size = max_request_size
        self._handler_threads = handler_threads
        self._clients: list[Client] = []
        self._started: list[GrpcReceiver | HttpReceiver] = []
        self._committing = False
        if committing:
            self.commit()

    @cached_property
    def grpc(self) -> GrpcReceiver:
        """The gRPC receiver, started when it is first needed."""
        receiver = GrpcReceiver(
            self.intakes,
            "127.0.0.1",
            0,
            self._max_request_size,
            handler_threads=self._handler_threads,
            admission=self._admission,
        )
        return self._start(receiver)

    @cached_property
    def http(self) -> HttpReceiver:
        """The HTTP receiver, started when it is first needed."""
        receiver = HttpReceiver(
            self.intakes, "127.0.0.1", 0, self._max_request_size, admission=self._admission
        )
        return self._start(receiver)

    def commit(self) -> None:
        """Let the journal commit from now on."""
        self._committing = True
        self.journal.start(self._apply)

    def stop(self) -> None:
        """End everything."""
        for client in self._clients:
            client.close()
        for receiver in self._started:
            receiver.stop(5)
        if not self._committing:
            self.commit()
        self.journal.close()

    def client(self, transport: str, signal: SentSignal = TRACES) -> Client:
        """A new client with its own connection."""
        client: Client
        if transport == "grpc":
            client = GrpcClient(self.grpc.port, signal)
        else:
            client = self.http_client(JSON if transport == "http-json" else PROTOBUF, signal)
        self._clients.append(client)
        return client

    def http_client(self, media_type: str = PROTOBUF, signal: SentSignal = TRACES) -> HttpClient:
        """A new HTTP client, with all that only HTTP has."""
        client = HttpClient(self.http.port, media_type, signal)
        self._clients.append(client)
        return client

    @property
    def batches(self) -> list[SpanBatch]:
        """The spans that were committed, in order."""
        decoded = [record.entry.decoded for record in self.records]
        return [request.batch for request in decoded if isinstance(request, DecodedRequest)]

    @property
    def points(self) -> list[PointBatch]:
        """The same for requests of metrics."""
        decoded = [record.entry.decoded for record in self.records]
        return [request.batch for request in decoded if isinstance(request, DecodedMetrics)]

    @property
    def payload(self) -> bytes:
        """What a destination gets, concatenated."""
        return b"".join(record.entry.payload for record in self.records)

    def requests(self, receiver: str, outcome: str, signal: str = "traces") -> int:
        """`spanmill_receiver_requests_total`."""
        return self._value("spanmill_receiver_requests_total", (receiver, signal, outcome))

    def spans(self, outcome: str) -> int:
        """`spanmill_spans_received_total`."""
        return self.items("traces", outcome)

    def items(self, signal: str, outcome: str) -> int:
        """`spanmill_spans_received_total` or `spanmill_metric_points_received_total`."""
        items = {"traces": "spans", "metrics": "metric_points"}[signal]
        return self._value(f"spanmill_{items}_received_total", (outcome,))

    def _start(self, receiver: R) -> R:
        receiver.bind()
        receiver.start()
        self._started.append(receiver)
        return receiver

    def _value(self, name: str, labels: tuple[str, ...]) -> int:
        for family in self.registry.snapshot():
            if family.family.name == name and labels in family.labels:
                assert isinstance(family.data, Values)
                return int(family.data.values[family.labels.index(labels)])
        return 0

    def _apply(self, record: Record[Decoded | None]) -> None:
        entry = record.entry
        if entry.duplicate:
            self.telemetry.books_of(entry.signal).received.add(entry.items, "duplicate")
            return
        if self._once is not None:
            self._once.applied(entry.key, entry.items, entry.rejected, record.arrival_ns)
        decoded = entry.decoded
        assert decoded is not None
        self.telemetry.count_received(record.entry.signal, len(decoded.batch), decoded.rejected)
        self.records.append(record)


PipelineFactory = Callable[..., ReceiverPipeline]
