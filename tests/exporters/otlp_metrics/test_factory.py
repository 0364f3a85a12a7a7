from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from exporters.otlp.peers import HttpPeer
from exporters.otlp_metrics.pushing import TIMEOUT, taken_points
from spanmill.clock import SystemClock
from spanmill.config.model import ExportersConfig
from spanmill.errors import StartError
from spanmill.exporters.otlp_metrics.factory import build_pushers
from spanmill.exporters.otlp_metrics.pusher import MetricsPusher
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

PORT = 9464


def pushers(**destinations: dict[str, Any]) -> list[MetricsPusher]:
    clock = SystemClock()
    registry = Registry(clock)
    config = ExportersConfig.model_validate({"otlp_metrics": destinations})
    return build_pushers(config, registry, Telemetry(registry), clock, lambda: PORT)


def test_only_those_that_want_what_is_derived_get_it() -> None:
    built = pushers(
        a={"endpoint": "http://127.0.0.1:1"},
        b={"endpoint": "http://127.0.0.1:1", "derived": False},
        c={"endpoint": "127.0.0.1:1", "protocol": "grpc", "service_metrics": False},
    )
    assert [each.name for each in built] == ["a", "c"]


@pytest.mark.parametrize(
    ("named", "instance"), [("shop-1", "shop-1"), (None, f"{socket.gethostname()}:{PORT}")]
)
def test_the_instance_is_the_one_that_is_named_or_host_and_port(
    http_peer: HttpPeer, named: str | None, instance: str
) -> None:
    endpoint = f"http://127.0.0.1:{http_peer.port}"
    (pusher,) = pushers(a={"endpoint": endpoint, "instance_id": named})
    pusher.start()
    pusher.begin_stop(SystemClock().monotonic() + TIMEOUT)
    assert pusher.finish_stop()
    assert {each.resource for each in taken_points(http_peer)} == {
        (("service.instance.id", instance), ("service.name", "spanmill"))
    }


def test_a_file_that_can_t_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(StartError, match=r"exporters\.otlp_metrics\.a\.tls"):
        pushers(a={"endpoint": "https://127.0.0.1:1", "tls": {"ca_file": str(file)}})
