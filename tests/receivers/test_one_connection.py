"""One client connection reaches as many handlers as it has requests in flight."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc

from receivers.otlp_requests import good_body
from receivers.receiver_pipeline import MIB
from spanmill.clock import SystemClock
from spanmill.journal.memory import MemoryJournal
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.intake import Intake
from spanmill.receivers.signals import Decoded, taken_traces
from spanmill.series.registry import Registry
from spanmill.spans.installed import load_decoder
from spanmill.telemetry import Telemetry

IN_FLIGHT = 4


def test_requests_of_one_connection_are_decoded_at_once() -> None:
    clock = SystemClock()
    registry = Registry(clock)
    journal: MemoryJournal[Decoded | None] = MemoryJournal(clock, registry.lock)
    journal.start(lambda record: None)
    taken = taken_traces(load_decoder(()))
    all_here = threading.Barrier(IN_FLIGHT, timeout=20)

    def decode(body: bytes) -> tuple[Decoded, Sequence[str]]:
        all_here.wait()  # BrokenBarrierError, and no success, where one waits for another
        return taken.decode(body)

    intake = Intake(replace(taken, decode=decode), journal, Telemetry(registry), clock)
    receiver = GrpcReceiver([intake], "127.0.0.1", 0, MIB, handler_threads=IN_FLIGHT)
    receiver.bind()
    receiver.start()
    with grpc.insecure_channel(receiver.endpoint) as channel, ThreadPoolExecutor() as threads:
        export = channel.unary_unary(f"/{taken.service}/Export", bytes, bytes)
        sent = [threads.submit(export, good_body(), timeout=30) for _ in range(IN_FLIGHT)]
        assert [answer.result() for answer in sent] == [b""] * IN_FLIGHT
    receiver.stop(1)
    journal.close()
