"""Whatever is appended, read, answered, expired and killed, in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from journal.outages import Site
from spanmill.journal.log import CursorSettings, ReadRecord, Signal

LIMIT = 40_000


class AnyHistory(RuleBasedStateMachine):
    """Against a model: the positions that are neither answered for nor expired, in order.

    Two destinations read; the second one's backlog is bounded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.site = Site(
            self.folder,
            CursorSettings("all", Signal.TRACES, 1 << 30),
            CursorSettings("some", Signal.TRACES, LIMIT),
            segment_bytes=16 << 10,
            tail_bytes=4_000,
        )
        self.items: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.in_hand: dict[str, list[ReadRecord]] = {"all": [], "some": []}
        self.answered: dict[str, set[int]] = {"all": set(), "some": set()}
        self.seen: dict[str, list[int]] = {"all": [], "some": []}  # since the last kill

    @rule(size=st.integers(1, 6000), items=st.integers(0, 5), times=st.integers(1, 6))
    def accept(self, size: int, items: int, times: int) -> None:
        for _ in range(times):
            position = self.site.submit(bytes(size), items)
            self.items[position], self.sizes[position] = items, size

    @rule(signal=st.sampled_from([Signal.METRICS, Signal.TICK]))
    def accept_what_is_not_for_them(self, signal: Signal) -> None:
        self.site.submit(b"" if signal is Signal.TICK else b"points", 1, signal)

    @rule(name=st.sampled_from(["all", "some"]), max_bytes=st.integers(1, 20_000))
    def read(self, name: str, max_bytes: int) -> None:
        records = self.site.cursors[name].read(max_bytes, 0)
        assert sum(len(record.payload) for record in records[1:]) <= max_bytes
        for record in records:
            assert (record.items, len(record.payload)) == (
                self.items[record.position],
                self.sizes[record.position],
            )
        self.in_hand[name] += records
        self.seen[name] += [record.position for record in records]
        assert self.seen[name] == sorted(set(self.seen[name]))
        assert not self.answered[name] & {record.position for record in records}

    @precondition(lambda self: self.in_hand["all"] or self.in_hand["some"])
    @rule(name=st.sampled_from(["all", "some"]), data=st.data())
    def answer(self, name: str, data: st.DataObject) -> None:
        if not self.in_hand[name]:
            return
        begin = data.draw(st.integers(0, len(self.in_hand[name]) - 1))
        end = data.draw(st.integers(begin, len(self.in_hand[name])))
        records = self.in_hand[name][begin:end]
        del self.in_hand[name][begin:end]
        outcome = data.draw(st.sampled_from(["delivered", "rejected_by_peer"]))
        self.site.cursors[name].acknowledge(
            records, {outcome: sum(record.items for record in records)}
        )
        self.answered[name] |= {record.position for record in records}

    @rule()
    def upkeep(self) -> None:
        self.site.journal.checkpointed(self.site.journal.stored.end - 1)
        self.site.upkeep()

    @rule()
    def kill(self) -> None:
        self.site.kill()
        self.site.open()
        self.in_hand = {"all": [], "some": []}
        self.seen = {"all": [], "some": []}

    @invariant()
    def the_books_balance(self) -> None:
        for name, cursor in self.site.cursors.items():
            assert sum(cursor.outcomes.values()) + cursor.queued_items == self.site.accepted
            assert cursor.outcomes["expired"] == self.site.expired[name]
            held = sum(len(record.payload) for record in self.in_hand[name])
            assert cursor.queued_bytes >= held

    def teardown(self) -> None:
        self.kill()
        for name, cursor in self.site.cursors.items():
            self.upkeep()
            assert name == "all" or cursor.queued_bytes <= LIMIT
            while cursor.queued_bytes:
                self.read(name, 1 << 20)
                records, self.in_hand[name] = self.in_hand[name], []
                cursor.acknowledge(records, {"delivered": sum(r.items for r in records)})
                self.answered[name] |= {record.position for record in records}
        expired = sum(
            items for position, items in self.items.items() if position not in self.answered["some"]
        )
        assert self.answered["all"] == set(self.items)
        assert self.site.expired == {"all": 0, "some": expired}
        self.the_books_balance()
        self.site.close()
        shutil.rmtree(self.folder)


AnyHistory.TestCase.settings = hypothesis_settings(
    max_examples=25, stateful_step_count=30, deadline=None
)
TestAnyHistory = AnyHistory.TestCase
