"""A fault of our own costs as few spans as can be, and is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporters.otlp.house import House
from exporters.otlp.log_lines import BACK, LOST, fields, messages
from exporters.otlp.peers import HttpPeer
from exporters.otlp.requests import request_of
from exporters.otlp.settings_for import settings_for
from spanmill.exporters.otlp.http import HttpSender
from spanmill.exporters.otlp.sender import Reply
from spanmill.exporters.otlp.signals import TRACES
from spanmill.spans.split import Part
from waiting import Eventually

KIB = 1024


def test_a_fault_of_ours_costs_one_request_and_not_the_destination(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def faulty(payload: bytes, limit: int) -> list[Part]:
        raise ZeroDivisionError

    signal = replace(TRACES, split=faulty)
    house.open(settings_for(http_peer.port, signal=signal, max_request_bytes=KIB))
    house.accept(request_of("large", padding=KIB), 1)
    eventually(house.settled, "the first is given up")
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the second is delivered")
    assert house.outcomes() == {"delivered": 1, "dead_lettered": 1}
    assert messages(caplog) == ["a request could not be handled, its spans are given up"]


def test_a_fault_of_the_sender_costs_no_spans_and_is_told_once(
    house: House,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = HttpSender.send
    faults = iter(range(5))

    def faulty(self: HttpSender, payload: bytes, timeout: float) -> Reply:
        if next(faults, None) is not None:
            raise ZeroDivisionError
        return send(self, payload, timeout)

    monkeypatch.setattr(HttpSender, "send", faulty)
    house.open(settings_for(http_peer.port))
    house.accept(request_of("a"), 1)
    eventually(house.settled, "the request is delivered")
    assert house.outcomes() == {"delivered": 1}
    assert house.telemetry.export_retries.value("tempo", "traces") == 5
    failed = "the sender failed, its request will be sent again"
    assert messages(caplog) == [failed, LOST, BACK]
    assert fields(caplog, failed)["exc_info"]
    assert fields(caplog, LOST)["reason"] == "the sender failed: ZeroDivisionError"
