"""`spanmill run`: the processor, until a signal ends it."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import threading
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from spanmill.clock import SystemClock
from spanmill.config.load import load_config
from spanmill.logs import configure_logging
from spanmill.pipeline import Pipeline

_log = logging.getLogger(__name__)

EXIT_FORCED = 1


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
    loaded = load_config(arguments.config, os.environ)
    config = loaded.config
    configure_logging(config.log.level, config.log.format)
    ended = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        if ended.is_set():
            os._exit(EXIT_FORCED)
        ended.set()
        _log.info("stopping", extra={"signal": signal.Signals(number).name})

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for key in loaded.keys_without_effect():
        _log.warning("this key has no effect yet", extra={"key": key})

    _allow_many_connections()
    pipeline = Pipeline(config, version("spanmill"), SystemClock())
    pipeline.start()
    ended.wait()
    pipeline.stop()
    return 0


def _allow_many_connections() -> None:
    """Lift the soft limit of open files to the hard one: it is often too low for two servers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
