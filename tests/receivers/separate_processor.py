"""A processor as a process of its own, whose memory is nobody else's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FREE = {"endpoint": "127.0.0.1:0"}


class SeparateProcessor:
    """`spanmill run` on free ports, with the defaults for everything else."""

    def __init__(self, folder: Path) -> None:
        config = folder / "spanmill.yaml"
        settings = {
            "receivers": {"otlp": {"grpc": FREE, "http": FREE}},
            "exporters": {"prometheus": FREE},
            "log": {"format": "json"},
            "state": {"directory": str(folder / "state")},
        }
        config.write_text(json.dumps(settings))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "spanmill.cli.main", "run", "--config", str(config)],
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        ready = json.loads(self._process.stderr.readline())
        self._ports = {name: int(ready[name].rpartition(":")[2]) for name in ("grpc", "http")}

    def port(self, transport: str) -> int:
        """The port of the receiver for `grpc`, `http-protobuf` or `http-json`."""
        return self._ports[transport.partition("-")[0]]

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def peak_resident_bytes(self) -> int:
        """The most memory that it has had."""
        status = Path("/proc", str(self._process.pid), "status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
