"""The whole as a user runs it: Collector → spanmill → Prometheus, Jaeger and, if any, Tempo."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from components.binaries import tempo_binary
from components.collector import start_collector
from components.jaeger import Jaeger, start_jaeger
from components.process import Processes, free_ports
from components.processor import Spanmill, start_spanmill
from components.prometheus import Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG
from components.tempo import Tempo, start_tempo


class Route(Enum):
    """How spans come in."""

    THROUGH_COLLECTOR = "gRPC through the Collector"
    STRAIGHT = "straight over HTTP"


@dataclass(frozen=True)
class Chain:
    """The running components, and where spans are sent to."""

    replay_endpoint: str
    traces_url: str
    spanmill: Spanmill
    prometheus: Prometheus
    jaeger: Jaeger
    tempo: Tempo | None


def start_chain(processes: Processes, folder: Path, route: Route) -> Chain:
    """Start every component with the shipped configuration, in folders of their own."""

    def own(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    prometheus_port, nobody = free_ports(2)
    jaeger = start_jaeger(processes, own("jaeger"), f"http://127.0.0.1:{prometheus_port}")
    binary = tempo_binary()
    tempo = start_tempo(processes, own("tempo"), binary) if binary else None
    # Without a Tempo that destination is down: which must be nobody else's trouble.
    tempo_http = tempo.otlp_http if tempo else f"127.0.0.1:{nobody}"
    spanmill = start_spanmill(
        processes,
        own("spanmill"),
        COLLECTOR_CONFIG / "spanmill.yaml",
        {
            "TEMPO_OTLP_ENDPOINT": f"http://{tempo_http}",
            "JAEGER_OTLP_ENDPOINT": f"http://{jaeger.otlp_grpc}",
        },
    )
    prometheus = start_prometheus(processes, own("prometheus"), [spanmill.scrape], prometheus_port)
    if route is Route.THROUGH_COLLECTOR:
        collector = start_collector(
            processes, own("collector"), "sidecar.yaml", {"SPANMILL_ENDPOINT": spanmill.grpc}
        )
        replay_endpoint, http = collector.grpc, collector.http
    else:
        replay_endpoint, http = f"http://{spanmill.http}", spanmill.http
    return Chain(
        replay_endpoint=replay_endpoint,
        traces_url=f"http://{http}/v1/traces",
        spanmill=spanmill,
        prometheus=prometheus,
        jaeger=jaeger,
        tempo=tempo,
    )
