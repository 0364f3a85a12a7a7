"""The real Collector with the shipped files of collector-config/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.binaries import component
from components.process import Process, Processes, free_ports
from components.shipped import COLLECTOR_CONFIG

OF_THE_GATEWAY = ("gateway-frontend.yaml", "gateway.yaml")


def distribution(config: str) -> Path:
    """The Collector that has the components of the file `config`."""
    return component("otelcol-gateway" if config in OF_THE_GATEWAY else "otelcol")


@dataclass(frozen=True)
class Collector:
    """A running Collector: host:port of its OTLP receivers; the one that samples has no HTTP."""

    grpc: str
    http: str
    process: Process


def start_collector(
    processes: Processes, folder: Path, config: str, env: Mapping[str, str]
) -> Collector:
    """Start the one beside the services with the file `config`; `env` says where it sends to."""
    grpc, http, health, metrics = free_ports(4)
    process = processes.start(
        [distribution(config), "--config", COLLECTOR_CONFIG / config],
        folder,
        ready_url=f"http://127.0.0.1:{health}/",
        env={
            "OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
            "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "COLLECTOR_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
            "COLLECTOR_METRICS_PORT": str(metrics),
            **env,
        },
    )
    return Collector(grpc=f"127.0.0.1:{grpc}", http=f"127.0.0.1:{http}", process=process)


def start_sampler(processes: Processes, folder: Path, env: Mapping[str, str]) -> Collector:
    """Start the one behind spanmill, with gateway.yaml; `env` says where it sends to."""
    grpc, health, metrics = free_ports(3)
    process = processes.start(
        [distribution("gateway.yaml"), "--config", COLLECTOR_CONFIG / "gateway.yaml"],
        folder,
        ready_url=f"http://127.0.0.1:{health}/",
        env={
            "SAMPLER_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{grpc}",
            "SAMPLER_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
            "SAMPLER_METRICS_PORT": str(metrics),
            **env,
        },
    )
    return Collector(grpc=f"127.0.0.1:{grpc}", http="", process=process)
