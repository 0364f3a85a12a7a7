from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from exporters.otlp.peers import Answer, GrpcPeer, Hang, HttpPeer, Reset, no_one
from exporters.otlp.requests import request_of
from exporters.otlp_metrics.decoded import Pairs
from exporters.otlp_metrics.pushing import taken_points
from running_processor import RunningProcessor
from waiting import Eventually

PATIENCE = 30.0


@pytest.fixture
def bad_port(request: pytest.FixtureRequest, http_peer: HttpPeer) -> Iterator[int]:
    """A destination that is down, hangs, breaks off, or is wrong."""
    match request.param:
        case "down":
            with no_one() as port:
                yield port
        case action:
            http_peer.otherwise = lambda body: action
            yield http_peer.port


@pytest.mark.parametrize(
    "bad_port",
    ["down", Hang(), Reset(), Answer(503), Answer(404), Answer(200, b"\xff no OTLP")],
    ids=["down", "hanging", "breaking off", "busy", "wrong", "no OTLP"],
    indirect=True,
)
def test_no_destination_is_in_the_way_of_anything_else(
    bad_port: int, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    push: dict[str, Any] = {"interval": "30ms", "service_metrics": False}
    processor = RunningProcessor(
        {
            "exporters": {
                "otlp_metrics": {
                    "bad": {"endpoint": f"http://127.0.0.1:{bad_port}", **push},
                    "good": {"endpoint": f"127.0.0.1:{grpc_peer.port}", "protocol": "grpc", **push},
                }
            },
            "shutdown_timeout": "1s",
        }
    )
    try:
        processor.send_grpc(request_of(*(f"span {n}" for n in "abc")))

        def counted() -> float:
            return sum(
                value
                for (name, _), value in processor.scrape().items()
                if name == "traces_spanmetrics_calls_total"
            )

        def pushed() -> float:
            last: dict[Pairs, float] = {
                each.attributes: each.point.as_double
                for each in taken_points(grpc_peer)
                if each.name == "traces_spanmetrics_calls_total"
            }
            return sum(last.values())

        eventually(lambda: counted() == 3, "the spans are on the scrape")
        eventually(lambda: pushed() == 3, "the good destination has them")
    finally:
        begun = time.monotonic()
        processor.close()
    assert time.monotonic() - begun < PATIENCE
