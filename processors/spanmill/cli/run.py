"""`spanmill run`: the processor, until a signal ends it."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Final

from spanmill.cli.allocator import Allocator
from spanmill.clock import SystemClock
from spanmill.config.load import load_config
from spanmill.logs import configure_logging
from spanmill.pipeline import Pipeline

_log = logging.getLogger(__name__)

EXIT_FORCED: Final = 1
_SWITCH_SECONDS: Final = 0.001
"""After how long a thread that computes lets others on: a scrape must not hold up requests."""
_STACK_BYTES: Final = 1 << 20
"""Of each thread: a limit of the process's data counts stacks whole, 8 MiB each as they come."""
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="the configuration; without one every key has its default",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends it at once."""
    allocator = Allocator()
    allocator.configure()
    sys.setswitchinterval(_SWITCH_SECONDS)
    threading.stack_size(_STACK_BYTES)
    loaded = load_config(arguments.config, os.environ)
    config = loaded.config
    configure_logging(config.log.level, config.log.format)
    # Blocked before any thread begins: they inherit it, and the signal waits for `sigwait`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    _allow_many_connections()
    pipeline = Pipeline(config, version("spanmill"), SystemClock())
    pipeline.start()
    allocator.settle()
    allocator.start()
    # Set before the wait: a second signal can meet a thread that numpy began before the blocking,
    # and by default it would end the process there and then.
    for number in _ENDING:
        signal.signal(number, _end_at_once)
    _log.info("stopping", extra={"signal": signal.Signals(signal.sigwait(_ENDING)).name})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    pipeline.stop()
    # The interpreter would wait for threads that still decode what nobody waits for any more.
    logging.shutdown()
    os._exit(0)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    os._exit(EXIT_FORCED)


def _allow_many_connections() -> None:
    """Lift the soft limit of open files to the hard one: it is often too low for two servers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
