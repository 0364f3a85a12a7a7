"""One run of the fuzzer: mutants by seed and number, both decoders, findings made small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from spanmill.spans.decoder import DecodedRequest, Decoder
from spans.fuzz.byte_mutations import havoc
from spans.fuzz.difference import Outcome, difference, outcome
from spans.fuzz.grouping import Grouping
from spans.fuzz.minimise import minimised
from spans.fuzz.mutations import mutated
from spans.fuzz.seeds import pool_of, trees_of

ATTRIBUTES: Final = ("http.route", "k", "é")
GROUP_BY: Final = ("http.route", "k")
"""With which both decoders are asked; seeds have these attributes often."""
_TWICE: Final = 20
"""Of so many accepted requests one is decoded twice: its groups are known again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A request about which the decoders disagree.

    `number` is that of the mutant of this seed; `alone` is False where it is seen only after
    the requests before it.
    """

    body: bytes
    what: str
    number: int
    alone: bool


@dataclass(slots=True)
class Tally:
    """What a run did."""

    mutants: int = 0
    accepted: int = 0
    spans: int = 0
    rejected_spans: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def line(self) -> str:
        """One line for people."""
        rate = self.mutants / self.seconds if self.seconds else 0
        share = self.accepted / self.mutants if self.mutants else 0
        return (
            f"{self.mutants:,} mutants in {self.seconds:.0f} s ({rate:,.0f} a second), "
            f"{share:.0%} accepted with {self.spans:,} spans and {self.rejected_spans:,} "
            f"rejected ones, {len(self.findings)} findings"
        )


class Mutants:
    """The mutants of a seed: each is made from its number alone."""

    def __init__(self, requests: Sequence[bytes], seed: int) -> None:
        self._trees = trees_of(requests)
        self._pool = pool_of(self._trees)
        self._seed = seed << 40

    def mutant(self, number: int) -> bytes:
        """The mutant of this number; every tenth or so by bytes alone."""
        random = Random(self._seed + number)
        fields = random.choice(self._trees)
        style = random.random()
        if style < 0.9:
            for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
                fields = tuple(mutated(fields, random, self._pool))
        body = b"".join([field.encoded for field in fields])
        return havoc(body, random) if style > 0.85 else body


class Session:
    """Compares a decoder with the oracle; `make_subject` gives a new one, which knows nothing.

    `before_decode` is called with each request before the subject gets it.
    """

    def __init__(
        self,
        oracle: Decoder,
        make_subject: Callable[[], Decoder],
        before_decode: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._oracle = oracle
        self._make_subject = make_subject
        self._before_decode = before_decode
        self._subject = make_subject()
        self._grouping = Grouping(GROUP_BY)
        self.tally = Tally()

    def run(
        self,
        numbered: Iterable[tuple[int, bytes]],
        until: Callable[[], bool],
        on_finding: Callable[[Finding], None] = lambda _: None,
    ) -> Tally:
        """Try these requests until `until` says so; `on_finding` is told each one at once."""
        begin, before = time.monotonic(), self.tally.seconds
        for number, body in numbered:
            if until():
                break
            what = self._try(body)
            if what is not None:
                finding = self._finding(body, what, number)
                self.tally.findings.append(finding)
                on_finding(finding)
            self.tally.seconds = before + time.monotonic() - begin
        return self.tally

    @property
    def read_otherwise(self) -> int:
        """How many requests the decoder left to the reference."""
        return self._subject.irregular_requests

    def _try(self, body: bytes) -> str | None:
        tally = self.tally
        tally.mutants += 1
        expected = outcome(self._oracle, body)
        if not isinstance(expected, str):
            tally.accepted += 1
            tally.spans += len(expected.batch)
            tally.rejected_spans += expected.rejected_spans
        self._before_decode(body)
        found = outcome(self._subject, body)
        what = difference(expected, found)
        if what is None and not isinstance(found, str):
            what = self._grouping.difference(found.batch)
            if what is None and tally.accepted % _TWICE == 0:
                what = same_identities(found, outcome(self._subject, body))
        return what

    def _finding(self, body: bytes, what: str, number: int) -> Finding:
        alone = self.seen_alone(body)
        if alone is None:
            return Finding(body, what, number, alone=False)
        small = minimised(body, lambda smaller: self.seen_alone(smaller) is not None)
        return Finding(small, self.seen_alone(small) or alone, number, alone=True)

    def seen_alone(self, body: bytes) -> str | None:
        """What a decoder that has seen nothing else makes otherwise of this request."""
        subject = self._make_subject()
        expected = outcome(self._oracle, body)
        self._before_decode(body)
        found = outcome(subject, body)
        what = difference(expected, found)
        if what is None and not isinstance(found, str):
            what = Grouping(GROUP_BY).difference(found.batch)
        return what


def same_identities(once: DecodedRequest, again: Outcome) -> str | None:
    """Whether a decoder knows its groups again."""
    if isinstance(again, str):
        return f"accepted once, and then {again}"
    first, second = once.batch.groups, again.batch.groups
    if first is None or first.identities is None:
        return None
    if second is None or second.identities is None:
        return "no identities for the same bytes"
    if first.identities.tobytes() != second.identities.tobytes():
        return "other identities for the same bytes"
    return None
