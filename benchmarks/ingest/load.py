"""A client that keeps N requests in flight on one connection, and counts what is acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from benchmarks.ingest.payloads import Request

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_CONNECT_DEADLINE: Final = 10.0
_ANSWER_DEADLINE: Final = 60.0


@dataclass(slots=True)
class Answers:
    """What came back: spans that were acknowledged, seconds to each answer, what failed."""

    acknowledged: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class GrpcClient:
    """OTLP over gRPC, uncompressed: the bytes go out as they are given.

    Nothing is sent again: a request that fails makes the figures void.
    """

    def __init__(self, address: str) -> None:
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
        self._channel = grpc.insecure_channel(address, options)
        self._export = self._channel.unary_unary(
            _EXPORT, request_serializer=None, response_deserializer=None
        )

    def __enter__(self) -> GrpcClient:
        """Connect."""
        grpc.channel_ready_future(self._channel).result(_CONNECT_DEADLINE)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self._channel.close()

    def send(self, requests: Sequence[Request], in_flight: int) -> Answers:
        """Send all of them in order, `in_flight` at a time, and wait for the answers."""
        answers = Answers()
        waiting = iter(requests)
        lock = threading.Lock()
        threads = [
            threading.Thread(target=self._send_waiting, args=(waiting, lock, answers))
            for _ in range(min(in_flight, len(requests)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def _send_waiting(
        self, waiting: Iterator[Request], lock: threading.Lock, answers: Answers
    ) -> None:
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                return
            begun = time.perf_counter()
            try:
                answer = self._export(request.body, timeout=_ANSWER_DEADLINE)
            except grpc.RpcError as error:
                with lock:
                    answers.failures.append(_reason(error))
                continue
            seconds = time.perf_counter() - begun
            rejected = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
            with lock:
                answers.seconds.append(seconds)
                answers.acknowledged += request.spans - rejected


def _reason(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
