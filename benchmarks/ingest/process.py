"""A measured process: started on a CPU of its own, its CPU time and memory read from /proc."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import urllib3

from spanmill.errors import StartError

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS: Final = 0.05
_IDLE_SECONDS: Final = 0.5
_START_DEADLINE: Final = 30.0
_STOP_DEADLINE: Final = 15.0
_LOG_TAIL_LINES: Final = 20


class MeasuredProcess:
    """A running command; all that it prints goes to `log`."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        cpus: Collection[int],
        environment: Mapping[str, str],
    ) -> None:
        self._log = log
        self._name = Path(command[0]).name
        with log.open("wb") as out, pinned(cpus):
            self._begun = time.monotonic()
            self._popen = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._proc = Path("/proc", str(self._popen.pid))

    def wait_until_ready(self, url: str) -> float:
        """Wait until `url` answers; returns the seconds since the start of the process.

        StartError with the log's end if it does not.
        """
        if not wait_until(lambda: self._ready(url), _START_DEADLINE):
            raise StartError(f"{self._name} does not answer on {url}:\n{self.log_tail()}")
        return time.monotonic() - self._begun

    def wait_until_idle(self) -> None:
        """Wait until it has used no CPU time for half a second, at most 10 s."""
        for _ in range(20):
            before = self.cpu_seconds()
            time.sleep(_IDLE_SECONDS)
            if self.cpu_seconds() == before:
                return

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far, user and system, in steps of 10 ms."""
        # The command's name, in parentheses, may contain anything.
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def resident_bytes(self) -> int:
        """Its resident memory now; 0 once it has ended."""
        return self._memory("VmRSS")

    def peak_resident_bytes(self) -> int:
        """The most resident memory that it has had; 0 once it has ended."""
        return self._memory("VmHWM")

    def log_tail(self) -> str:
        """The last lines that it printed."""
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL where that does not end it in time."""
        self._popen.terminate()
        try:
            self._popen.wait(_STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _ready(self, url: str) -> bool:
        if self._popen.poll() is not None:
            raise StartError(
                f"{self._name} ended with exit code {self._popen.returncode}:\n{self.log_tail()}"
            )
        try:
            status = urllib3.request("GET", url, retries=False, timeout=2.0).status
            return status != 503  # rotel has no such page: it answers 404
        except urllib3.exceptions.HTTPError:
            return False

    def _memory(self, key: str) -> int:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
        return 0


@contextmanager
def pinned(cpus: Collection[int]) -> Iterator[None]:
    """Run this thread, and all that it starts meanwhile, on these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition` for that long; whether it came to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
