"""spanmill as a user runs it: a process of its own with collector-config/spanmill.yaml."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from components.process import Processes, free_ports
from components.shipped import COLLECTOR_CONFIG

SPANMILL = (sys.executable, "-m", "spanmill.cli.main")
REPLAY_DEADLINE = 120.0


@dataclass(frozen=True)
class Spanmill:
    """A running spanmill: host:port of its receivers and of its scrape endpoint."""

    grpc: str
    http: str
    scrape: str


def start_spanmill(
    processes: Processes, folder: Path, tempo_http: str, jaeger_grpc: str
) -> Spanmill:
    """Start it beside a Tempo and a Jaeger at these host:port, whether they are there or not."""
    grpc, http, scrape = (f"127.0.0.1:{port}" for port in free_ports(3))
    processes.start(
        [*SPANMILL, "run", "--config", COLLECTOR_CONFIG / "spanmill.yaml"],
        folder,
        ready_url=f"http://{scrape}/readyz",
        env={
            "SPANMILL_GRPC_ENDPOINT": grpc,
            "SPANMILL_HTTP_ENDPOINT": http,
            "SPANMILL_SCRAPE_ENDPOINT": scrape,
            "TEMPO_OTLP_ENDPOINT": f"http://{tempo_http}",
            "JAEGER_OTLP_ENDPOINT": f"http://{jaeger_grpc}",
        },
    )
    return Spanmill(grpc=grpc, http=http, scrape=scrape)


def replay(file: Path, endpoint: str) -> None:
    """Send all spans of a recorded file to an OTLP endpoint with `spanmill replay`."""
    finished = subprocess.run(
        [*SPANMILL, "replay", str(file), "--to", endpoint, "--batch-size", "512"],
        capture_output=True,
        text=True,
        timeout=REPLAY_DEADLINE,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
