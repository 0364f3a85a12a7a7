"""A real Tempo with the shipped collector-config/tempo.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import urllib3
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from components.process import Processes, free_ports
from components.shipped import COLLECTOR_CONFIG


@dataclass(frozen=True)
class Tempo:
    """A running Tempo: its API, and host:port of its OTLP receivers."""

    url: str
    otlp_grpc: str
    otlp_http: str

    def trace(self, trace_id: str) -> TracesData | None:
        """The trace as Tempo gives it back; None where it is not there (yet)."""
        response = urllib3.request(
            "GET",
            f"{self.url}/api/traces/{trace_id}",
            headers={"Accept": "application/protobuf"},
            timeout=10.0,
            retries=False,
        )
        # tempopb.Trace has its resource spans in field 1, as TracesData has.
        return TracesData.FromString(response.data) if response.status == 200 else None


def start_tempo(processes: Processes, folder: Path, binary: Path) -> Tempo:
    """Start `binary` with its data in `folder`."""
    page, query, gossip, grpc, http = free_ports(5)
    tempo = Tempo(
        url=f"http://127.0.0.1:{page}",
        otlp_grpc=f"127.0.0.1:{grpc}",
        otlp_http=f"127.0.0.1:{http}",
    )
    processes.start(
        [
            binary,
            "-target=all",
            f"-config.file={COLLECTOR_CONFIG / 'tempo.yaml'}",
            "-config.expand-env=true",
        ],
        folder,
        ready_url=f"{tempo.url}/ready",
        env={
            "TEMPO_HTTP_PORT": str(page),
            "TEMPO_GRPC_PORT": str(query),
            "TEMPO_MEMBERLIST_PORT": str(gossip),
            "TEMPO_OTLP_GRPC_ENDPOINT": tempo.otlp_grpc,
            "TEMPO_OTLP_HTTP_ENDPOINT": tempo.otlp_http,
            "TEMPO_DATA": str(folder),
        },
    )
    return tempo
