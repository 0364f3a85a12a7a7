"""Peers to send to, closed when the test is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from exporters.otlp.peers import GrpcPeer, HttpPeer


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spanmill")


@pytest.fixture
def http_peer() -> Iterator[HttpPeer]:
    peer = HttpPeer()
    yield peer
    peer.close()


@pytest.fixture
def grpc_peer() -> Iterator[GrpcPeer]:
    peer = GrpcPeer()
    yield peer
    peer.close()
