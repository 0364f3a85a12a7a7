"""`spanmill demo`: its arguments, and the run from the first line to the last."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from spanmill.cli.demo.extras import INSTALL, missing_packages
from spanmill.clock import SystemClock
from spanmill.errors import StartError

if TYPE_CHECKING:
    from spanmill.cli.demo.watch import Display

_DESCRIPTION = """\
Runs a small shop of five services on this machine. They call each other, some calls fail and some
are slow, and every span goes through a real spanmill processor. Shown are the request rates, errors
and latencies that it derives, read from its metrics page. After half a minute something goes wrong
on purpose. Nothing leaves this machine, and nothing is left behind.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `spanmill demo`."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        metavar="SECONDS",
        help="end by itself after this long (default: run until Ctrl-C)",
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="print a table every few seconds instead of redrawing the screen"
        " (the default where the output is no terminal)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo. 0 at a regular end, 1 if a process died on the way; StartError before that."""
    missing = missing_packages()
    if missing:
        raise StartError(f"the demo needs {', '.join(missing)}: {INSTALL}")
    return _run(arguments.seconds, arguments.plain, sys.stdout)


def _run(seconds: float | None, plain: bool, out: TextIO) -> int:
    # These stand on the packages of the extra, which are known to be there only now.
    from spanmill.cli.demo.interruption import interrupted_by_signals
    from spanmill.cli.demo.ports import PREFERRED, choose_ports
    from spanmill.cli.demo.session import Session
    from spanmill.cli.demo.summary import introduction, summary

    with (
        interrupted_by_signals() as interruption,
        tempfile.TemporaryDirectory(prefix="spanmill-demo-") as directory,
    ):
        ports = choose_ports(PREFERRED)
        _say(out, *introduction(ports))
        session = Session(ports, Path(directory), clock=SystemClock(), interruption=interruption)
        watch = None
        try:
            watch = session.start()
            if watch is not None:
                watch.run(_display(plain, out), interruption, seconds)
            _say(out, "stopping")
        finally:
            killed = session.stop()
        if watch is None:
            _say(out, *killed, "ended before the shop was open")
            return 0
        _say(out, *killed, *summary(watch.latest, watch.elapsed, _program()))
        return 1 if watch.notices else 0


def _program() -> str:
    """How the user starts spanmill: by name, or by path where its environment is not active."""
    script = Path(sys.executable).with_name("spanmill")
    found = shutil.which("spanmill")
    if not script.exists() or (found is not None and os.path.samefile(found, script)):
        return "spanmill"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)


def _display(plain: bool, out: TextIO) -> Display:
    from rich.console import Console

    from spanmill.cli.demo.plain import PlainDisplay
    from spanmill.cli.demo.screen import LiveDisplay

    console = Console(file=out)
    if plain or not out.isatty() or console.is_dumb_terminal:
        return PlainDisplay(out)
    return LiveDisplay(console)


def _say(out: TextIO, *lines: str) -> None:
    print(*lines, sep="\n", file=out, flush=True)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (0 < seconds < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
