"""Destinations as the configuration has them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from exporters.otlp.house import House
from exporters.otlp.peers import HttpPeer
from exporters.otlp.requests import metrics_of, request_of
from spanmill.config.endpoints import Destination
from spanmill.config.exporters import OtlpTracesConfig
from spanmill.config.model import ExportersConfig
from spanmill.errors import StartError
from spanmill.exporters.otlp.factory import build_destinations, settings_of
from spanmill.exporters.otlp.settings import RetrySettings, TlsSettings
from spanmill.exporters.otlp.signals import METRICS, TRACES
from waiting import Eventually

MIB = 1 << 20


def config(**keys: object) -> OtlpTracesConfig:
    return OtlpTracesConfig.model_validate(keys)


def exporters(**keys: object) -> ExportersConfig:
    return ExportersConfig.model_validate(keys)


def test_every_key_reaches_the_destination() -> None:
    settings = settings_of(
        "jaeger",
        TRACES,
        config(
            endpoint="https://jaeger.example:4317",
            protocol="grpc",
            headers={"Authorization": "Bearer secret"},
            compression="gzip",
            timeout="3s",
            max_request_bytes="1MiB",
            max_backlog="2MiB",
            retry={"initial_interval": "1s", "max_interval": "9s", "multiplier": 3.0},
            tls={"ca_file": "/a", "cert_file": "/b", "key_file": "/c"},
        ),
    )
    assert settings.name == "jaeger"
    assert settings.endpoint == Destination(True, "jaeger.example", 4317, "")
    assert settings.protocol == "grpc"
    assert settings.headers == {"Authorization": "Bearer secret"}
    assert settings.compression == "gzip"
    assert settings.timeout == 3.0
    assert (settings.max_request_bytes, settings.max_backlog) == (MIB, 2 * MIB)
    assert settings.retry == RetrySettings(1.0, 9.0, 3.0)
    assert settings.tls == TlsSettings(Path("/a"), Path("/b"), Path("/c"))
    assert settings.user_agent == f"spanmill/{version('spanmill')}"


def test_credentials_are_not_shown() -> None:
    settings = settings_of(
        "tempo",
        TRACES,
        config(endpoint="http://tempo:4318", headers={"Authorization": "Bearer secret"}),
    )
    assert "secret" not in repr(settings)


def test_one_name_can_be_a_destination_of_traces_and_of_metrics(
    http_peer: HttpPeer, eventually: Eventually
) -> None:
    house = House("backup")
    backup = {"backup": {"endpoint": f"http://127.0.0.1:{http_peer.port}"}}
    destinations = build_destinations(
        exporters(otlp_traces=backup, otlp_metrics=backup),
        house.journal,
        house.telemetry,
        house.registry,
        clock=house.clock,
    )
    house.open()
    for destination in destinations:
        destination.start()
    house.accept(request_of("a"), 1)
    house.accept(metrics_of("b", "c"), 2, METRICS)
    for signal in (TRACES, METRICS):
        eventually(lambda s=signal: house.settled("backup", s), "it is delivered")  # type: ignore[misc]  # bound now
    assert house.outcomes("backup") == {"delivered": 1}
    assert house.outcomes("backup", METRICS) == {"delivered": 2}
    sent = dict(zip(http_peer.paths, http_peer.taken, strict=True))
    assert sent == {"/v1/traces": request_of("a"), "/v1/metrics": metrics_of("b", "c")}
    house.journal.close()
    for destination in destinations:
        destination.stop(house.clock.monotonic() + 20)


def test_a_metric_destination_of_derived_metrics_alone_gets_nothing_forwarded() -> None:
    house = House("prometheus")
    settings = {"endpoint": "http://127.0.0.1:9", "service_metrics": False}
    assert not build_destinations(
        exporters(otlp_metrics={"prometheus": settings}),
        house.journal,
        house.telemetry,
        house.registry,
        clock=house.clock,
    )


def test_a_file_that_is_not_there_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    house = House("tempo")
    missing = tmp_path / "ca.pem"
    unusable = {"endpoint": "https://tempo:4318", "tls": {"ca_file": str(missing)}}
    with pytest.raises(
        StartError, match=rf"^exporters\.otlp_traces\.tempo\.tls\.ca_file: .*{missing}"
    ):
        build_destinations(
            exporters(otlp_traces={"tempo": unusable}),
            house.journal,
            house.telemetry,
            house.registry,
            clock=house.clock,
        )
