"""The demo's child processes: started with a lifeline, watched, and ended by a deadline."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spanmill.clock import Clock

_TAIL_LINES = 2


@dataclass(frozen=True, slots=True)
class Child:
    """A process, the name that the user knows it by, and the file with its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tell(self, line: str) -> None:
        """Send a line down the lifeline; a child that is gone hears nothing."""
        stdin = self.process.stdin
        if stdin is None or stdin.closed:
            return
        with suppress(BrokenPipeError):
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    def let_go(self) -> None:
        """Close the lifeline: the child ends itself."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def obituary(self) -> str | None:
        """One sentence on a child that has ended, with its log's tail; None while it lives."""
        code = self.process.poll()
        if code is None:
            return None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {how}: {tail(self.log)}"


def start(
    name: str,
    command: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    pass_fds: Iterable[int] = (),
) -> Child:
    """Start a child in a session of its own, so that the terminal's Ctrl-C reaches only us."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=dict(environ),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    return Child(name, process, log)


def stop(children: Sequence[Child], timeout: float, clock: Clock) -> list[str]:
    """Let all go and wait at most `timeout` seconds; the names of those that had to be killed."""
    deadline = clock.monotonic() + timeout
    for child in children:
        child.let_go()
    killed = []
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - clock.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
            killed.append(child.name)
    return killed


def tail(log: Path) -> str:
    """The last lines of a log, as one line."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    return " | ".join([line for line in lines if line][-_TAIL_LINES:]) or "it said nothing"
