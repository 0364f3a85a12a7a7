"""Which records, or dead letters, a command is about."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from spanmill.cli.journal.directory import StateDirectory
from spanmill.errors import StartError
from spanmill.journal.log import Signal

_SIGNALS = {"traces": Signal.TRACES, "metrics": Signal.METRICS}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A request: where it stands or who refused it, its items, its bytes."""

    label: str
    items: int
    payload: bytes


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare what chooses records."""
    parser.add_argument(
        "--signal", choices=tuple(_SIGNALS), default="traces", help="which (default: traces)"
    )
    parser.add_argument("--from", dest="first", metavar="POSITION", type=_position, default=0)
    parser.add_argument(
        "--to-position", dest="last", metavar="POSITION", type=_position, help="the last one"
    )
    parser.add_argument(
        "--since", metavar="TIME", type=_time, help="arrived at or after, as 2026-01-31T12:00:00Z"
    )
    parser.add_argument("--until", metavar="TIME", type=_time, help="arrived before")
    parser.add_argument(
        "--dead-letters", action="store_true", help="what destinations refused, in place of records"
    )
    parser.add_argument(
        "--destination", metavar="NAME", help="with --dead-letters: of this destination alone"
    )


def chosen(state: StateDirectory, arguments: argparse.Namespace) -> Iterator[Chosen]:
    """What the arguments choose, the oldest first; StartError where they can't choose anything."""
    _check(arguments)
    return _chosen(state, arguments)


def _chosen(state: StateDirectory, arguments: argparse.Namespace) -> Iterator[Chosen]:
    signal = signal_of(arguments)
    since, until = arguments.since or 0, arguments.until
    if arguments.dead_letters:
        for number, letter in enumerate(state.dead_letters()):
            wanted = arguments.destination in (None, letter.destination)
            wanted = wanted and letter.signal is signal and number >= arguments.first
            wanted = wanted and (arguments.last is None or number <= arguments.last)
            if wanted and letter.time_ns >= since and (until is None or letter.time_ns < until):
                yield Chosen(f"dead letter {number}", letter.items, letter.payload)
        return
    for record in state.records().read(arguments.first):
        if arguments.last is not None and record.position > arguments.last:
            return
        wanted = record.signal is signal and record.payload_bytes > 0 and not record.duplicate
        wanted = wanted and record.arrival_ns >= since
        if wanted and (until is None or record.arrival_ns < until):
            assert record.payload is not None, "payloads were asked for"
            yield Chosen(f"record {record.position}", record.items, record.payload)


def signal_of(arguments: argparse.Namespace) -> Signal:
    """The signal that was asked for."""
    return _SIGNALS[arguments.signal]


def _check(arguments: argparse.Namespace) -> None:
    if arguments.last is not None and arguments.last < arguments.first:
        raise StartError(
            f"--to-position {arguments.last} is before --from {arguments.first}: nothing is chosen"
        )
    if None not in (arguments.since, arguments.until) and arguments.until <= arguments.since:
        raise StartError("--until is not after --since: nothing is chosen")


def _position(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no position, which is a whole number")
    return int(text)


def _time(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1e9)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-01-31T12:00:00Z") from None
