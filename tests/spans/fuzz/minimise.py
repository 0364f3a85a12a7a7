"""Findings made small: fields left out as long as the finding stays, then bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from spans.fuzz.fields import Field, parse_request

_TRIES: Final = 4000

StillFound = Callable[[bytes], bool]


def minimised(body: bytes, still_found: StillFound) -> bytes:
    """The request with as many of its fields and bytes left out as can be, in at most 4,000 tries.

    Misherghi and Su, "HDD: Hierarchical Delta Debugging" (2006), in a simple form; then Zeller
    and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), on bytes.
    """
    tries = 0

    def found(smaller: bytes) -> bool:
        nonlocal tries
        tries += 1
        return tries < _TRIES and still_found(smaller)

    return _with_fewer_bytes(_with_fewer_fields(body, found), found)


def _with_fewer_fields(body: bytes, found: StillFound) -> bytes:
    skipped = 0
    while True:
        for number, smaller in enumerate(_one_less(parse_request(body))):
            # What had to stay has to stay without some other field, too, as a rule.
            if number >= skipped and len(smaller) < len(body) and found(smaller):
                body, skipped = smaller, number
                break
        else:
            if not skipped:
                return body
            skipped = 0


def _one_less(fields: Sequence[Field]) -> Iterator[bytes]:
    """The message without one field, from the outermost to the innermost."""
    encoded = [field.encoded for field in fields]
    for at in range(len(fields)):
        yield b"".join(encoded[:at] + encoded[at + 1 :])
    for at, field in enumerate(fields):
        for content in _one_less(field.fields):
            inner = field.with_content(content).encoded
            yield b"".join([*encoded[:at], inner, *encoded[at + 1 :]])


def _with_fewer_bytes(body: bytes, found: StillFound) -> bytes:
    piece = len(body) // 2
    while piece:
        at = 0
        while at < len(body):
            smaller = body[:at] + body[at + piece :]
            if found(smaller):
                body = smaller
            else:
                at += piece
        piece //= 2
    return body
