"""State directories for the tests of `spanmill journal`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporters.otlp.peers import HttpPeer
from exporters.otlp.requests import request_of
from journal.outages import Site
from spanmill.cli.main import main
from spanmill.journal.dead_letters import DeadLetter, DeadLetters
from spanmill.journal.files import RealFiles
from spanmill.journal.log import CursorSettings, Signal

Shown = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Seven requests of two spans each, in two segments, of which tempo got two."""
    site = Site(tmp_path / "state", CursorSettings("tempo", Signal.TRACES, 1 << 30))
    for n in range(7):
        site.submit(request_of(f"{n}-a", f"{n}-b"), 2)
        site.clock.advance(60)
    site.submit(b"", 0, Signal.TICK)
    cursor = site.cursors["tempo"]
    first = cursor.read(1, 0) + cursor.read(1, 0)
    cursor.acknowledge(first, {"delivered": 4})
    letters = DeadLetters(
        RealFiles(),
        tmp_path / "state" / "dead-letters",
        site.clock,
        max_bytes=1 << 20,
        max_age=3600,
    )
    refused = request_of("refused")
    time_ns = site.clock.time_ns()
    letters.add(DeadLetter(Signal.TRACES, "tempo", "answered 400: no", time_ns, 1, refused))
    yield site
    site.close()


@pytest.fixture
def shown(site: Site, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Shown:
    """Run `spanmill journal` on that directory, while the process has it; its output."""

    def run(*arguments: str, exits: int = 0) -> str:
        action, *rest = arguments
        code = main(["journal", action, "--state", str(tmp_path / "state"), *rest])
        out, err = capsysbinary.readouterr()
        assert code == exits, err
        return (out or err).decode("latin-1")

    return run


@pytest.fixture
def http_peer() -> Iterator[HttpPeer]:
    """A destination."""
    peer = HttpPeer()
    yield peer
    peer.close()
