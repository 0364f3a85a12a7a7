"""The servers that are compared; each takes bytes and answers the empty message.

Run as `python -m benchmarks.transport.servers KIND PORT THREADS [NAME=VALUE ...]`, where the last
are options of grpcio's server; a line on standard output says that it serves.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import grpc

from spanmill.clock import SystemClock
from spanmill.journal.log import Record, Signal
from spanmill.journal.memory import MemoryJournal
from spanmill.receivers.grpc import GrpcReceiver, server_options
from spanmill.receivers.http import HttpReceiver
from spanmill.receivers.intake import Intake
from spanmill.receivers.signals import TakenSignal, taken_traces
from spanmill.series.registry import Registry
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_HOST: Final = "127.0.0.1"
_LARGEST: Final = 64 * 1024 * 1024

Options = Sequence[tuple[str, int]]
Serve = Callable[[int, int, Options], object]
"""Serves on a port with so many handlers until what it returns is gone."""


@dataclass(frozen=True, slots=True)
class _Undecoded:
    """A request as it came, counted as one span."""

    payload: bytes

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class _Taken:
    batch: _Undecoded
    rejected: Mapping[str, int]


def _take(body: bytes) -> tuple[_Taken, Sequence[str]]:
    return _Taken(_Undecoded(body), {}), ()


_TRACES: Final = TakenSignal(
    signal=Signal.TRACES,
    path=b"/v1/traces",
    service=SERVICE,
    item="span",
    rejected_field="rejectedSpans",
    from_json=bytes,
    decode=_take,
    reasons={},
)


def _intake(taken: TakenSignal = _TRACES) -> Intake:
    """Everything between a receiver and the processors, with nothing to apply."""
    clock = SystemClock()
    registry = Registry(clock)
    telemetry = Telemetry(registry)
    journal: MemoryJournal[Any] = MemoryJournal(clock, registry.lock)
    journal.start(_apply_nothing)
    return Intake(taken, journal, telemetry, clock)


def _apply_nothing(_record: Record[Any]) -> None:
    pass


def _whole(_body: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _first_of_stream(messages: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    next(messages, None)
    return b""


def _all_of_stream(messages: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    for _ in messages:
        pass
    return b""


def _bare(
    handler: grpc.RpcMethodHandler[Any, Any],
) -> Serve:
    """grpcio alone, with this handler and our options."""

    def serve(port: int, threads: int, options: Options) -> object:
        service = grpc.method_handlers_generic_handler(SERVICE, {"Export": handler})
        server = grpc.server(
            ThreadPoolExecutor(threads),
            handlers=[service],
            options=[*server_options(_LARGEST, 1000), *options],
        )
        server.add_insecure_port(f"{_HOST}:{port}")
        server.start()
        return server

    return serve


def _grpc_receiver(port: int, threads: int, options: Options) -> object:
    if options:
        raise SystemExit("the receiver has its own options; give them to one of the bare servers")
    receiver = GrpcReceiver([_intake()], _HOST, port, _LARGEST, handler_threads=threads)
    receiver.bind()
    receiver.start()
    return receiver


def _decoding_receiver(port: int, threads: int, _options: Options) -> object:
    intake = _intake(taken_traces(load_decoder(())))
    receiver = GrpcReceiver([intake], _HOST, port, _LARGEST, handler_threads=threads)
    receiver.bind()
    receiver.start()
    return receiver


def _http_receiver(port: int, _threads: int, _options: Options) -> object:
    receiver = HttpReceiver([_intake()], _HOST, port, _LARGEST)
    receiver.bind()
    receiver.start()
    return receiver


KINDS: Final[Mapping[str, Serve]] = {
    "unary": _bare(grpc.unary_unary_rpc_method_handler(_whole)),
    "stream-first": _bare(grpc.stream_unary_rpc_method_handler(_first_of_stream)),
    "stream-all": _bare(grpc.stream_unary_rpc_method_handler(_all_of_stream)),
    "receiver": _grpc_receiver,
    "http-receiver": _http_receiver,
    "decoding-receiver": _decoding_receiver,
}
"""grpcio alone with three shapes of a method, and the receivers with a journal behind them.

The last one also decodes, so that it needs real requests.
"""


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    kind, port, threads, *options = arguments
    pairs = [(name, int(value)) for name, _, value in (each.partition("=") for each in options)]
    server = KINDS[kind](int(port), int(threads), pairs)
    print("serving", flush=True)
    signal.pause()
    del server


if __name__ == "__main__":
    main(sys.argv[1:])
