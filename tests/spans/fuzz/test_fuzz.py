"""The fuzzer finds faults that are there, and none where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, Literal

import numpy as np
import pytest

from spanmill.errors import UndecodableError
from spanmill.spans.batch import Coded, SpanBatch
from spanmill.spans.decoder import DecodedRequest
from spanmill.spans.groups import groups_of
from spanmill.spans.reference import ReferenceDecoder
from spans.fuzz.difference import COLUMNS
from spans.fuzz.fields import parse_request
from spans.fuzz.minimise import minimised
from spans.fuzz.seeds import generated_requests
from spans.fuzz.session import ATTRIBUTES, GROUP_BY, Mutants, Session, Tally

MUTANTS = 20_000
REQUESTS = generated_requests(Random(1))

Change = Callable[[bytes, DecodedRequest], DecodedRequest]


class Changed:
    """The reference, with what it makes of a request changed."""

    kind: Literal["compiled", "reference"] = "compiled"
    irregular_requests = 0

    def __init__(self, change: Change, *, refused: bool = False) -> None:
        self._reference = ReferenceDecoder(ATTRIBUTES)
        self._change = change
        self._refused = refused

    def decode(self, body: bytes) -> DecodedRequest:
        try:
            decoded = self._reference.decode(body)
        except UndecodableError:
            if self._refused and b"\xed" in body:
                return self._reference.decode(b"")
            raise
        return self._change(body, decoded)


def column(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of one column."""

    def changed(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
        batch = decoded.batch
        columns: dict[str, Any] = {name: change(getattr(batch, name))}
        return dataclasses.replace(decoded, batch=dataclasses.replace(batch, **columns))

    return changed


def unchanged(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    return decoded


def raises(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    if b"\xe0\x80" in body or b"\x8b\x01" in body:
        raise IndexError("out of bounds")
    return decoded


def groups_without_status(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    batch = decoded.batch
    blind = dataclasses.replace(batch, status=np.zeros_like(batch.status))
    return dataclasses.replace(
        decoded, batch=dataclasses.replace(batch, groups=groups_of(blind, GROUP_BY))
    )


def identities_of_names(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    batch = decoded.batch
    groups = groups_of(batch, GROUP_BY)
    identities = np.array(
        [(len(batch.name.value(row) or ""), 0) for row in groups.first.tolist()], dtype=np.uint64
    ).reshape(-1, 2)
    groups = dataclasses.replace(groups, identities=identities)
    return dataclasses.replace(decoded, batch=dataclasses.replace(batch, groups=groups))


def numbers_for_booleans(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    batch = decoded.batch
    attributes = {
        key: Coded(
            coded.codes,
            [int(value) if isinstance(value, bool) else value for value in coded.values],
        )
        for key, coded in batch.attributes.items()
    }
    return dataclasses.replace(decoded, batch=dataclasses.replace(batch, attributes=attributes))


def one_reason_for_all(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    if not decoded.rejected:
        return decoded
    return dataclasses.replace(decoded, rejected={"invalid_trace_id": decoded.rejected_spans})


def uncut(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
    batch = decoded.batch
    payload = body if decoded.rejected_spans > 1 else batch.payload
    return dataclasses.replace(decoded, batch=dataclasses.replace(batch, payload=payload))


FAULTS: dict[str, Change] = {
    "another exception": raises,
    "weights left out": column("weight", np.ones_like),
    "sizes as received": column("size", lambda size: size + (size == 41)),
    "a kind that the protocol doesn't know": column("kind", lambda kind: kind + (kind == 0)),
    "durations that wrap around": column("duration", lambda ns: np.where(ns, ns, np.uint64(1))),
    "a column of another type": column("start", lambda start: start.astype(np.int64)),
    "true for 1": numbers_for_booleans,
    "one reason for all": one_reason_for_all,
    "rejected spans left in": uncut,
    "groups that don't tell statuses apart": groups_without_status,
}


def fuzzed(make_subject: Callable[[], Changed | ReferenceDecoder]) -> Tally:
    """A run that ends with the first finding."""
    mutants = Mutants(REQUESTS, seed=1)
    session = Session(ReferenceDecoder(ATTRIBUTES), make_subject)
    return session.run(
        ((number, mutants.mutant(number)) for number in count()),
        lambda: session.tally.mutants >= MUTANTS or bool(session.tally.findings),
    )


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_made_small(change: Change) -> None:
    tally = fuzzed(lambda: Changed(change))
    assert len(tally.findings) == 1
    finding = tally.findings[0]
    session = Session(ReferenceDecoder(ATTRIBUTES), lambda: Changed(change))
    assert finding.alone
    assert session.seen_alone(finding.body) == finding.what
    assert len(finding.body) < 500  # a hundred groups in each other stay


def test_one_identity_for_what_differs_is_found_across_requests() -> None:
    finding = fuzzed(lambda: Changed(identities_of_names)).findings[0]
    assert finding.what.startswith("one identity for ")


def test_identities_that_change_with_time_are_found() -> None:
    number = count()

    def numbered(body: bytes, decoded: DecodedRequest) -> DecodedRequest:
        groups = groups_of(decoded.batch, GROUP_BY)
        identities = np.array([(next(number), 0) for _ in groups.counts], np.uint64).reshape(-1, 2)
        groups = dataclasses.replace(groups, identities=identities)
        batch = dataclasses.replace(decoded.batch, groups=groups)
        return dataclasses.replace(decoded, batch=batch)

    finding = fuzzed(lambda: Changed(numbered)).findings[0]
    assert finding.what == "other identities for the same bytes"


def test_text_that_is_accepted_and_must_not_be_is_found() -> None:
    tally = fuzzed(lambda: Changed(unchanged, refused=True))
    assert [finding.what for finding in tally.findings] == [
        "UndecodableError, but 0 spans accepted"
    ]


def test_a_fault_that_needs_the_requests_before_is_found() -> None:
    class Forgetful(Changed):
        seen = 0

        def decode(self, body: bytes) -> DecodedRequest:
            self.seen += 1
            if self.seen % 500 == 0:
                raise UndecodableError("enough")
            return super().decode(body)

    tally = fuzzed(lambda: Forgetful(unchanged))
    assert [finding.alone for finding in tally.findings] == [False]


def test_a_decoder_agrees_with_itself() -> None:
    session = Session(ReferenceDecoder(ATTRIBUTES), lambda: ReferenceDecoder(ATTRIBUTES))
    mutants = Mutants(REQUESTS, seed=2)
    tally = session.run(((n, mutants.mutant(n)) for n in range(2000)), lambda: False)
    assert tally.findings == []
    assert tally.accepted > 600  # most mutants must get past the first check
    assert tally.mutants - tally.accepted > 300
    assert tally.rejected_spans > 50


def test_a_mutant_is_made_from_seed_and_number_alone() -> None:
    mutants = Mutants(REQUESTS, seed=3)
    again = Mutants(REQUESTS, seed=3)
    in_order = [mutants.mutant(number) for number in range(50)]
    assert [again.mutant(number) for number in reversed(range(50))] == in_order[::-1]
    other = Mutants(REQUESTS, seed=4)
    assert [other.mutant(number) for number in range(50)] != in_order


def test_a_tree_of_fields_keeps_every_byte() -> None:
    for body in REQUESTS:
        assert b"".join(field.encoded for field in parse_request(body)) == body


def test_every_column_of_a_batch_is_compared() -> None:
    compared = {*COLUMNS, "payload", "resource", "scope", "name", "attributes", "groups", "linked"}
    given_afterwards = {"arrival_ns"}
    assert {field.name for field in dataclasses.fields(SpanBatch)} == compared | given_afterwards


def test_minimising_keeps_what_the_finding_needs() -> None:
    body = bytes(range(200))
    assert minimised(body, lambda smaller: 7 in smaller and 150 in smaller) == bytes([7, 150])
