"""spanmill as a process that is killed, stopped, and started again on the same ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import urllib3

from faults.clients import Ports

_POLL_SECONDS: Final = 0.01
START_DEADLINE: Final = 60.0


class ProcessUnderTest:
    """One directory, one configuration, one set of ports; processes come and go."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = Ports(*_free_ports(3))
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._config = folder / "spanmill.yaml"
        self._config.write_text(json.dumps(_config(self.ports, settings)))
        self._popen: subprocess.Popen[bytes] | None = None
        self.log = folder / "spanmill.log"
        self._log_before = 0
        self.starts = 0

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._popen is not None, "it was started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._popen is not None and self._popen.poll() is None

    def spawn(self) -> None:
        """Start a process, and don't wait for it."""
        self._log_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as out:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "spanmill.cli.main", "run", "--config", str(self._config)],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.starts += 1

    def start(self) -> None:
        """Start a process and wait until it takes requests."""
        self.spawn()
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = START_DEADLINE) -> None:
        """Wait for it; AssertionError with the end of its log where it ends or takes too long."""
        wait_until(self._ready_or_ended, seconds, lambda: f"it is ready:\n{self.log_tail()}")
        assert self.alive, f"it ended:\n{self.log_tail()}"

    def ready(self) -> bool:
        """Whether it takes requests now."""
        url = f"http://127.0.0.1:{self.ports.scrape}/readyz"
        try:
            return urllib3.request("GET", url, retries=False, timeout=2.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.alive:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int | None:
        """Its exit code, if it ends within this time."""
        assert self._popen is not None, "it was started"
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def lines(self) -> list[dict[str, Any]]:
        """What the process that was started last has logged."""
        with self.log.open("rb") as file:
            file.seek(self._log_before)
            text = file.read().decode(errors="replace")
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"msg": line, "level": "plain"})
        return found

    def log_tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def _ready_or_ended(self) -> bool:
        return not self.alive or self.ready()


def wait_until(
    condition: Callable[[], object], seconds: float, what: Callable[[], str] | str
) -> None:
    """Poll until a condition holds; AssertionError names `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            text = what if isinstance(what, str) else what()
            raise AssertionError(f"still not so after {seconds:g} s: {text}")
        time.sleep(_POLL_SECONDS)


def _config(ports: Ports, settings: Mapping[str, Any]) -> dict[str, Any]:
    def at(port: int) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{port}"}

    exporters = dict(settings.get("exporters", {}))
    exporters["prometheus"] = {**at(ports.scrape), "created_timestamps": True}
    return {
        "receivers": {"otlp": {"grpc": at(ports.grpc), "http": at(ports.http)}},
        "log": {"format": "json"},
        **settings,
        "exporters": exporters,
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
