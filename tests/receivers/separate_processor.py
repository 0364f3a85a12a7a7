"""A processor as a process of its own, whose memory is nobody else's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FREE = {"endpoint": "127.0.0.1:0"}
_START_SECONDS = 60
_LIMITED = """\
import resource, runpy
resource.setrlimit(resource.RLIMIT_DATA, ({0}, {0}))
runpy.run_module("spanmill.cli.main", run_name="__main__")
"""


class SeparateProcessor:
    """`spanmill run` on free ports, with the defaults for everything else.

    With `memory_limit` it can have so many bytes of data (RLIMIT_DATA) and no more.
    """

    def __init__(
        self, folder: Path, *, memory_limit: int | None = None, **settings: dict[str, object]
    ) -> None:
        config = folder / "spanmill.yaml"
        defaults = {
            "receivers": {"otlp": {"grpc": FREE, "http": FREE}},
            "exporters": {"prometheus": FREE},
            "log": {"format": "json"},
            "state": {"directory": str(folder / "state")},
        }
        config.write_text(json.dumps({**defaults, **settings}))
        self._log = folder / "log"

        command = [sys.executable, "-m", "spanmill.cli.main"]
        if memory_limit is not None:
            command = [sys.executable, "-c", _LIMITED.format(memory_limit)]
        with self._log.open("wb") as log:
            # A file: a pipe that nobody reads would stop it once it is full.
            self._process = subprocess.Popen([*command, "run", "--config", str(config)], stderr=log)
        ready = self._wait_until_ready()
        self._ports = {name: int(ready[name].rpartition(":")[2]) for name in ("grpc", "http")}
        self._metrics = ready["metrics"]

    def port(self, transport: str) -> int:
        """The port of the receiver for `grpc`, `http-protobuf` or `http-json`."""
        return self._ports[transport.partition("-")[0]]

    def metric(self, sample: str) -> float:
        """The value of a sample, written as the scrape writes it."""
        with urllib.request.urlopen(self._metrics, timeout=20) as answer:
            text = answer.read().decode()
        (line,) = (line for line in text.splitlines() if line.startswith(f"{sample} "))
        return float(line.rpartition(" ")[2])

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    @property
    def peak_resident_bytes(self) -> int:
        """The most memory that it has had."""
        return self._status("VmHWM")

    @property
    def data_bytes(self) -> int:
        """What RLIMIT_DATA counts of it."""
        return self._status("VmData")

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log that are whole."""
        return list(_lines(self._log.read_bytes()))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _wait_until_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.alive:
            for line in self.log():
                if line["msg"] == "ready":
                    return line
            time.sleep(0.02)
        self.close()
        raise AssertionError(f"it did not start: {self._log.read_text(encoding='utf-8')}")

    def _status(self, name: str) -> int:
        status = Path("/proc", str(self._process.pid), "status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024


def _lines(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.split(b"\n")[:-1]:
        if line.startswith(b"{"):
            yield json.loads(line)
