"""Processes of real components: started, waited for, stopped, their logs kept."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

POLL_INTERVAL = 0.05
START_DEADLINE = 30.0
STOP_DEADLINE = 3.0  # Jaeger and Tempo take longer, and have nothing left to say
LOG_TAIL_LINES = 25


@dataclass(frozen=True)
class Process:
    """One running component; everything it prints goes to `log`."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start `command` in `folder`, which also gets its log; `env` is added to ours."""
        name = Path(command[0]).name if "-m" not in command else "spanmill"
        log = folder / f"{name}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return cls(name, popen, log)

    def wait_until_ready(self, url: str) -> None:
        """Wait until `url` answers 200; raise with the log's end if it exits or takes too long."""

        def ready() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(
                    f"{self.name} exited with {self.popen.returncode}:\n{self.log_tail()}"
                )
            return answers(url)

        try:
            wait_until(ready, START_DEADLINE, f"{self.name} answers on {url}")
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        """The last lines of what it printed."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


class Processes:
    """The processes of one set-up."""

    def __init__(self) -> None:
        self.running: list[Process] = []

    def start(
        self,
        command: Sequence[str | Path],
        folder: Path,
        ready_url: str,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start `command` and wait until `ready_url` answers."""
        process = Process.start(command, folder, env)
        self.running.append(process)
        process.wait_until_ready(ready_url)
        return process

    def stop(self) -> None:
        """End them all: SIGTERM, and SIGKILL for those that it does not end in time."""
        for process in self.running:
            process.popen.terminate()
        deadline = time.monotonic() + STOP_DEADLINE
        for process in self.running:
            try:
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()


RUNNING = pytest.StashKey[list[Processes]]()
"""What runs at this moment, for the reports of failed tests."""


@contextmanager
def running_processes(config: pytest.Config) -> Iterator[Processes]:
    """Processes that are stopped at the end, and whose logs failed tests show until then."""
    kept = config.stash.setdefault(RUNNING, [])
    started = Processes()
    kept.append(started)
    try:
        yield started
    finally:
        kept.remove(started)
        started.stop()


def answers(url: str) -> bool:
    """Whether a GET of `url` gives 200."""
    try:
        return urllib3.request("GET", url, retries=False, timeout=2.0).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Poll `condition` until it holds; TimeoutError names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {seconds:g} s: {what}")
        time.sleep(POLL_INTERVAL)


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of 127.0.0.1 that nothing listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
