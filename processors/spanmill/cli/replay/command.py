"""`spanmill replay`: its arguments, and the run from the first span to the last line."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Final

from spanmill.cli.replay.progress import Progress, summary
from spanmill.cli.replay.recording import Recording
from spanmill.cli.replay.session import Plan, replay
from spanmill.cli.replay.transmission import REQUEST_TIMEOUT, RETRY, Sent, Transmission
from spanmill.clock import Clock, SystemClock
from spanmill.config.endpoints import Protocol, parse_destination
from spanmill.errors import StartError
from spanmill.exporters.otlp.factory import build_sender
from spanmill.exporters.otlp.sender import Sender
from spanmill.exporters.otlp.settings import DestinationSettings, TlsSettings
from spanmill.exporters.otlp.signals import TRACES, OtlpSignal

EXIT_REJECTED: Final = 1
EXIT_INTERRUPTED: Final = 130

SMALLEST_RATE: Final = 0.01
"""Spans a second: with less, the pause after one large request can be more than a clock holds."""

_DESCRIPTION = """\
Sends recorded spans to an OTLP endpoint as if they happened now: all times are moved so that the
newest span of a pass ends when the pass begins, and every pass has trace and span ids of its own.
FILE is a zstd stream of [4-byte big-endian length][ExportTraceServiceRequest]. Exit code 0: all
was taken; 1: spans were rejected; 2: it could not begin, or not go on; 130: ended by a signal.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = _DESCRIPTION
    parser.add_argument("file", metavar="FILE", type=Path, help="the recorded requests")
    parser.add_argument(
        "--to",
        dest="endpoint",
        metavar="ENDPOINT",
        required=True,
        help="host:port for gRPC, http(s)://host[:port][/path] for HTTP (/v1/traces is added)",
    )
    parser.add_argument(
        "--protocol",
        choices=("grpc", "http/protobuf"),
        help="how OTLP is spoken (default: as the endpoint is written)",
    )
    parser.add_argument(
        "--rate",
        metavar="R",
        type=_rate,
        help="spans a second, from 0.01, in requests of at most 512 (default: as fast as it goes)",
    )
    parser.add_argument(
        "--loop",
        dest="passes",
        metavar="N",
        type=_passes,
        default=1,
        help="passes through the file (default: 1; 0: until Ctrl-C)",
    )
    parser.add_argument(
        "--batch-size",
        metavar="B",
        type=_batch_size,
        help="spans in a request (default: as recorded)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Replay a file; StartError where it can't be read or the endpoint is wrong."""
    clock, rng = SystemClock(), Random()
    endpoint: str = arguments.endpoint
    protocol: Protocol = arguments.protocol or ("http/protobuf" if "://" in endpoint else "grpc")
    plan = Plan(arguments.rate, arguments.passes, arguments.batch_size)
    target = f"{endpoint} over {protocol}"
    with (
        _terminated_as_interrupted(),
        contextlib.closing(sender_to(endpoint, protocol, clock)) as to,
    ):
        try:
            recording = Recording.open(arguments.file)
        except KeyboardInterrupt:  # a large file takes a while
            return _interrupted(Sent(), 0.0)
        return _run(recording, plan, to, target, clock=clock, rng=rng)


def _run(
    recording: Recording, plan: Plan, sender: Sender, target: str, *, clock: Clock, rng: Random
) -> int:
    sent = Sent()
    progress = Progress(sent, plan.passes, clock, sys.stderr)
    transmission = Transmission(
        sender,
        target,
        sent,
        clock=clock,
        sleep=time.sleep,
        rng=rng,
        waiting=progress.waiting,
    )
    began = clock.monotonic()
    interrupted = False
    try:
        replay(recording, plan, transmission, progress, clock=clock, sleep=time.sleep, rng=rng)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.end()
        if sent.rejected:
            print(f"spanmill: {target} rejected spans: {sent.reason}", file=sys.stderr)
        seconds = clock.monotonic() - began
        if sent.requests and not interrupted:
            print("sent", summary(sent, seconds), flush=True)
    if interrupted:
        return _interrupted(sent, seconds)
    return EXIT_REJECTED if sent.rejected else 0


def _interrupted(sent: Sent, seconds: float) -> int:
    print("interrupted after", summary(sent, seconds), flush=True)
    return EXIT_INTERRUPTED


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: with a line on what was sent. Only in the main thread."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def sender_to(
    endpoint: str, protocol: Protocol, clock: Clock, signal: OtlpSignal = TRACES
) -> Sender:
    """What sends to an endpoint as the command line names it; StartError where that is none."""
    try:
        destination = parse_destination(endpoint, protocol, has_tls=False)
    except ValueError as error:
        raise StartError(f"--to: {error}") from error
    settings = DestinationSettings(
        name="replay",
        signal=signal,
        endpoint=destination,
        protocol=protocol,
        headers={},
        compression="none",
        timeout=REQUEST_TIMEOUT,
        max_request_bytes=0,
        max_backlog=0,
        retry=RETRY,
        tls=TlsSettings(),
        user_agent=f"spanmill-replay/{version('spanmill')}",
    )
    return build_sender(settings, clock)


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        rate = float(text)
        if SMALLEST_RATE <= rate < math.inf:
            return rate
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a number of spans a second, of which the smallest is {SMALLEST_RATE:g}"
    )


def _passes(text: str) -> int:
    return _whole_number(text, 0)


def _batch_size(text: str) -> int:
    return _whole_number(text, 1)


def _whole_number(text: str, least: int) -> int:
    with contextlib.suppress(ValueError):
        number = int(text)
        if number >= least:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
