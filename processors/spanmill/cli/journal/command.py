"""`spanmill journal`: its arguments, and which part answers."""

from __future__ import annotations

import argparse
import contextlib
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import BinaryIO, Final

from spanmill.cli.journal.directory import StateDirectory
from spanmill.cli.journal.listing import listing
from spanmill.cli.journal.otlp_json import to_json
from spanmill.cli.journal.selection import add_selection, chosen, signal_of
from spanmill.cli.journal.showing import show_letter, show_record
from spanmill.cli.replay.command import EXIT_REJECTED, sender_to
from spanmill.cli.replay.transmission import Sent, Transmission
from spanmill.clock import SystemClock
from spanmill.config.endpoints import Protocol
from spanmill.errors import JournalError, StartError
from spanmill.exporters.otlp.signals import METRICS, TRACES
from spanmill.journal.files import RealFiles
from spanmill.journal.log import Signal

_DESCRIPTION: Final = """\
Looks into a state directory, also while a process works in it: nothing is locked or changed.
"""
_MARK: Final = struct.Struct("<5sQ")
_MARK_TAG: Final = bytes.fromhex("f9ffffff0f")
"""Of a fixed64 with protobuf's highest field number, 2²⁹ - 1, which OTLP has no field for."""

_LENGTH: Final = struct.Struct(">I")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = _DESCRIPTION
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument(
        "--state",
        metavar="DIRECTORY",
        type=Path,
        default=Path("state"),
        help="state.directory of the configuration (default: state)",
    )

    def action(name: str, purpose: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, parents=[state], help=purpose, description=purpose)

    ls = action("ls", "segments, destinations, checkpoints and dead letters")
    ls.add_argument(
        "--verify", action="store_true", help="read every record, and say where one is damaged"
    )
    show = action("show", "one record, or one dead letter, readable")
    show.add_argument("position", metavar="POSITION", type=int, help="of the record, or the number")
    show.add_argument("--dead-letter", action="store_true", help="the dead letter of this number")
    show.add_argument("--json", action="store_true", help="its request as OTLP's JSON")
    export = action("export", "write records as OTLP to a file")
    add_selection(export)
    export.add_argument(
        "--format",
        choices=("json", "proto"),
        default="json",
        help="json: a request a line, the standard OTLP file; proto: each request behind its "
        "4-byte big-endian length, as the Collector's file exporter writes it (default: json)",
    )
    export.add_argument(
        "--output", metavar="FILE", type=Path, help="where to (default: standard output)"
    )
    replay = action("replay", "send records again, as they were")
    add_selection(replay)
    replay.add_argument("--to", dest="endpoint", metavar="ENDPOINT", required=True)
    replay.add_argument("--protocol", choices=("grpc", "http/protobuf"))
    replay.add_argument(
        "--again",
        action="store_true",
        help="to a spanmill that took these requests within its window of `once`: mark them, so "
        "that they count again",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; StartError where the directory can't be read."""
    state = StateDirectory(RealFiles(), arguments.state)
    try:
        match arguments.action:
            case "ls":
                print(listing(state, time.time_ns(), verify=arguments.verify))
                return 0
            case "show":
                return _show(state, arguments)
            case "export":
                return _export(state, arguments)
            case _:
                return _replay(state, arguments)
    except JournalError as error:
        raise StartError(f"{error}; if a process works there, try again") from error
    except BrokenPipeError:
        raise  # the reader of our output has left, which is no fault
    except OSError as error:
        where = error.filename or arguments.state
        raise StartError(f"{where}: {(error.strerror or str(error)).lower()}") from error


def _show(state: StateDirectory, arguments: argparse.Namespace) -> int:
    wanted: int = arguments.position
    if arguments.dead_letter:
        for number, letter in enumerate(state.dead_letters()):
            if number == wanted:
                _print_shown(letter.payload, letter.signal, show_letter(number, letter), arguments)
                return 0
        raise StartError(f"there is no dead letter {wanted}: `spanmill journal ls` counts them")
    stored = state.records()
    record = next(stored.read(wanted), None)
    if record is None or record.position != wanted:
        there = f"the journal has {stored.first} to {stored.end - 1}"
        next_one = "" if record is None else f", and the next one is {record.position}"
        raise StartError(f"no record can be read at position {wanted}: {there}{next_one}")
    _print_shown(record.payload, record.signal, show_record(record), arguments)
    return 0


def _print_shown(
    payload: bytes | None, signal: Signal, lines: Iterable[str], arguments: argparse.Namespace
) -> None:
    if arguments.json and payload:
        print(to_json(payload, signal).decode())
        return
    for line in lines:
        print(line)


def _export(state: StateDirectory, arguments: argparse.Namespace) -> int:
    requests = items = 0
    wanted = chosen(state, arguments)  # before a file is made
    with contextlib.ExitStack() as stack:
        out: BinaryIO = sys.stdout.buffer
        if arguments.output is not None:
            out = stack.enter_context(arguments.output.open("xb"))
        for one in wanted:
            if arguments.format == "json":
                out.write(to_json(one.payload, signal_of(arguments)) + b"\n")
            else:
                out.write(_LENGTH.pack(len(one.payload)) + one.payload)
            requests += 1
            items += one.items
        out.flush()
    print(f"exported {requests} requests, {items} items", file=sys.stderr)
    return 0


def _replay(state: StateDirectory, arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    endpoint: str = arguments.endpoint
    protocol: Protocol = arguments.protocol or ("http/protobuf" if "://" in endpoint else "grpc")
    signal = METRICS if signal_of(arguments) is Signal.METRICS else TRACES
    sent = Sent()
    rng = Random()
    # One mark for the whole run: a request that it sends twice still counts once.
    mark = _MARK.pack(_MARK_TAG, rng.getrandbits(64)) if arguments.again else b""
    wanted = chosen(state, arguments)
    with contextlib.closing(sender_to(endpoint, protocol, clock, signal)) as sender:
        transmission = Transmission(
            sender,
            f"{endpoint} over {protocol}",
            sent,
            clock=clock,
            sleep=time.sleep,
            rng=rng,
            waiting=lambda reason: print(f"trying again: {reason}", file=sys.stderr),
            signal=signal,
        )
        at = "nothing"
        try:
            for one in wanted:
                transmission.send(one.payload + mark, one.items)
                at = one.label
        finally:
            print(
                f"sent {sent.spans} {signal.items} in {sent.requests} requests, "
                f"{sent.rejected} rejected; the last: {at}",
                flush=True,
            )
    if sent.rejected:
        print(f"spanmill: rejected: {sent.reason}", file=sys.stderr)
    return EXIT_REJECTED if sent.rejected else 0
