"""The real Collector with the shipped collector-config/sidecar.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from components.binaries import component
from components.process import Processes, free_ports
from components.shipped import COLLECTOR_CONFIG


@dataclass(frozen=True)
class Collector:
    """A running sidecar: host:port of its OTLP receivers."""

    grpc: str
    http: str


def start_collector(processes: Processes, folder: Path, spanmill_grpc: str) -> Collector:
    """Start it in front of the spanmill that listens on `spanmill_grpc`."""
    grpc, http, health, metrics = free_ports(4)
    processes.start(
        [component("otelcol"), "--config", COLLECTOR_CONFIG / "sidecar.yaml"],
        folder,
        ready_url=f"http://127.0.0.1:{health}/",
        env={
            "OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
            "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "COLLECTOR_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
            "COLLECTOR_METRICS_PORT": str(metrics),
            "SPANMILL_ENDPOINT": spanmill_grpc,
        },
    )
    return Collector(grpc=f"127.0.0.1:{grpc}", http=f"127.0.0.1:{http}")
