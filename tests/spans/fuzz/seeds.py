"""What is mutated: small requests, recorded and generated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.spans.framed import read_framed
from spanmill.spans.split import split_request
from spans.fuzz.fields import Field, parse_request
from spans.fuzz.odd_values import trace_state
from spans.generated import Message, Request, field, mixed, resource_fields, scope_fields, span

GENERATED: Final = 300
RECORDED: Final = 300
"""How many of each at most."""

_LARGEST: Final = 2000
"""Bytes of a recorded one: mutants of larger ones take longer and find no more."""


def generated_requests(random: Random) -> list[bytes]:
    """Requests of all shapes: few spans; in every third fields in any order and unknown ones."""
    return [
        body if number % 3 == 0 else _plain(body)
        for number, body in enumerate(_generated(random).received for _ in range(GENERATED))
    ]


def _plain(body: bytes) -> bytes:
    """The same as a library writes it: what has one wrong place is then read up to there."""
    request = ExportTraceServiceRequest.FromString(body)
    request.DiscardUnknownFields()
    return request.SerializeToString()


def _generated(random: Random) -> Request:
    resources: list[bytes | Message] = []
    for _ in range(random.choice((1, 1, 1, 2))):
        number = random.choice((2, 2, 2, 1000))
        scopes = [
            Message(
                number,
                mixed(
                    random,
                    [
                        *(_sampled(random) for _ in range(random.choice((0, 1, 1, 2, 3)))),
                        *scope_fields(random),
                    ],
                    [1, 2, 3],
                ),
            )
            for _ in range(random.choice((1, 1, 2)))
        ]
        resources.append(Message(1, mixed(random, [*scopes, *resource_fields(random)], [1, 2, 3])))
    return Request(mixed(random, resources, [1]))


def _sampled(random: Random) -> Message:
    """A span, some with a trace state."""
    message = span(random)
    if random.random() < 0.7:
        return message
    state = field(3, trace_state(random))
    return dataclasses.replace(message, pieces=[*message.pieces, state])


def recorded_requests(recording: Path, random: Random) -> list[bytes]:
    """Parts of the recorded requests, down to single spans."""
    parts = [
        part.payload
        for body in islice(read_framed(recording), 0, None, 20)
        for part in split_request(body, random.randrange(600, _LARGEST))
        if len(part.payload) <= _LARGEST
    ]
    return random.sample(parts, min(RECORDED, len(parts)))


def pool_of(trees: Sequence[Sequence[Field]]) -> dict[str, list[Field]]:
    """The fields of all requests by the full name of their message; scalars under ''."""
    pool: dict[str, list[Field]] = {}
    waiting = [found for tree in trees for found in tree]
    while waiting:
        found = waiting.pop()
        name = found.message.full_name if found.message is not None else ""
        pool.setdefault(name, []).append(found)
        waiting.extend(found.fields)
    return pool


def trees_of(requests: Sequence[bytes]) -> list[tuple[Field, ...]]:
    """Each request as a tree of its fields."""
    return [parse_request(body) for body in requests]
