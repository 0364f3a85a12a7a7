"""Peers and pushers that are closed when the test is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporters.otlp.peers import GrpcPeer, HttpPeer
from exporters.otlp_metrics.pushing import Pushing

StartPushing = Callable[..., Pushing]


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


@pytest.fixture
def pushing() -> Iterator[StartPushing]:
    started: list[Pushing] = []

    def start(*arguments: Any, **settings: Any) -> Pushing:
        started.append(Pushing(*arguments, **settings))
        return started[-1]

    yield start
    for each in started:
        each.stop(0)
