"""spanmill as a user runs it: a process of its own with a file of collector-config/."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.process import Process, Processes, free_ports

SPANMILL = (sys.executable, "-m", "spanmill.cli.main")
REPLAY_DEADLINE = 120.0


@dataclass(frozen=True)
class Spanmill:
    """A running spanmill: host:port of its receivers and of its scrape endpoint."""

    grpc: str
    http: str
    scrape: str
    process: Process


def start_spanmill(
    processes: Processes, folder: Path, config: Path, destinations: Mapping[str, str]
) -> Spanmill:
    """Start it with `config`; `destinations` are the variables that name who gets the traces."""
    grpc, http, scrape = (f"127.0.0.1:{port}" for port in free_ports(3))
    process = processes.start(
        [*SPANMILL, "run", "--config", config],
        folder,
        ready_url=f"http://{scrape}/readyz",
        env={
            "SPANMILL_GRPC_ENDPOINT": grpc,
            "SPANMILL_HTTP_ENDPOINT": http,
            "SPANMILL_SCRAPE_ENDPOINT": scrape,
            **destinations,
        },
    )
    return Spanmill(grpc=grpc, http=http, scrape=scrape, process=process)


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
