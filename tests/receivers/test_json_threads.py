"""JSON, which takes long to decode, in threads of its own."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from receivers.clients import JSON
from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.receiver_pipeline import ReceiverPipeline
from waiting import Eventually


def test_protobuf_is_taken_while_every_json_thread_is_busy(
    pipeline: ReceiverPipeline, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    converting: list[bytes] = []
    end = threading.Event()

    def convert(body: bytes) -> bytes:
        converting.append(body)
        end.wait(20)
        return b""

    traces = pipeline.intakes[0]
    monkeypatch.setattr(traces, "taken", replace(traces.taken, from_json=convert))
    connections = [RawHttp(pipeline.http.port) for _ in range(10)]
    try:
        for connection in connections:
            connection.send(post_head("Content-Length: 2", media_type=JSON) + b"{}")
        eventually(lambda: len(converting) == 2, "both threads for JSON are busy")
        assert pipeline.client("http-protobuf").send(good_body()).ok
        assert len(converting) == 2
        end.set()
        for connection in connections:
            assert connection.answer().code == 200
    finally:
        end.set()
        for connection in connections:
            connection.__exit__()
