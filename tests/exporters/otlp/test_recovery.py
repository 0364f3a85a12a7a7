"""A destination's side of the books after a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporters.otlp.delivery_bench import KIB, Bench, sized
from exporters.otlp.requests import request_of
from journal.followed import Followed, drain, traces
from spanmill.books import check_books
from spanmill.exporters.otlp.account import Account
from spanmill.exporters.otlp.delivery import Delivery
from spanmill.exporters.otlp.letters import Letters
from spanmill.exporters.otlp.notices import Notices
from spanmill.exporters.otlp.sender import Delivered, Permanent, TooLarge
from spanmill.exporters.otlp.signals import TRACES
from spanmill.journal.cursor import DiskCursor
from spanmill.journal.dead_letters import DeadLetter
from spanmill.journal.log import Signal
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Values
from spanmill.telemetry import EXPORT_OUTCOMES, Telemetry
from spanmill.testing import ManualClock


class Restarted:
    """A process that knows how much was accepted, and a cursor that knows its outcomes."""

    def __init__(self, cursor: DiskCursor, clock: ManualClock, accepted: int) -> None:
        self.clock = clock
        self.registry = Registry(clock)
        telemetry = Telemetry(self.registry, ["tempo"])
        telemetry.spans.received.add(accepted, "accepted")
        telemetry.spans.accepted.add(accepted, "counted_own")
        account = Account("tempo", TRACES, telemetry, self.registry.lock)
        self.registry.before_snapshot(lambda: account.show_queue(cursor))
        check_books(self.registry, telemetry, ["tempo"])
        account.recover(cursor, clock.time_ns())

    def outcomes(self) -> dict[str, int]:
        """Those that happened; fails where the books don't balance."""
        values = self._values("spanmill_export_spans_total")
        (difference,) = {
            value
            for labels, value in self._values("spanmill_books_difference_spans").items()
            if labels == ("tempo",)
        }
        assert difference == 0
        found = {name: int(values["tempo", name]) for name in EXPORT_OUTCOMES}
        return {name: count for name, count in found.items() if count}

    def created(self) -> set[float]:
        (family,) = (
            one
            for one in self.registry.snapshot()
            if one.family.name == "spanmill_export_spans_total"
        )
        return set(family.created.tolist())

    def _values(self, name: str) -> Mapping[tuple[str, ...], float]:
        (family,) = (one for one in self.registry.snapshot() if one.family.name == name)
        assert isinstance(family.data, Values)
        pairs = zip(family.labels, family.data.values.tolist(), strict=True)
        return {labels: value for labels, value in pairs if labels is not None}


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def ignore(items: int) -> None:
    """What expired is not looked at."""


def restarted(followed: Followed, accepted: int) -> tuple[Restarted, DiskCursor]:
    followed.crash()
    cursor = followed.cursor(traces(), ignore)
    return Restarted(cursor, followed.clock, accepted), cursor


def test_counters_and_created_stamps_go_on(followed: Followed) -> None:
    cursor = followed.cursor(traces(), ignore)
    created = followed.clock.time_ns() / 1e9
    for _ in range(3):
        followed.append(b"x", 2)
    cursor.acknowledge(cursor.read(1, 0), {"delivered": 1, "rejected_by_peer": 1})
    followed.clock.advance(60)
    process, _ = restarted(followed, 6)
    assert process.outcomes() == {"delivered": 1, "rejected_by_peer": 1}
    assert process.created() == {created}


def test_what_came_before_a_new_destination_is_filtered_for_it(followed: Followed) -> None:
    followed.append(b"x", 5)
    process, cursor = restarted(followed, 5)
    assert process.outcomes() == {"filtered_for_it": 5}
    followed.append(b"y", 2)
    drain(cursor)
    process, _ = restarted(followed, 7)
    assert process.outcomes() == {"filtered_for_it": 5, "delivered": 2}


def test_what_is_gone_when_a_destination_returns_has_expired(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    followed.cursor(traces(), ignore)
    for _ in range(4):
        followed.append(b"x", 3)
    followed.stored.lose(0, 1)
    process, _ = restarted(followed, 12)
    assert process.outcomes() == {"expired": 6}
    assert "spans were gone before their destination came back" in caplog.text
    process, _ = restarted(followed, 12)
    assert process.outcomes() == {"expired": 6}


def test_what_is_gone_for_a_destination_whose_file_is_damaged_is_not_called_new(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    cursor = followed.cursor(traces(), ignore)
    for _ in range(4):
        followed.append(b"x", 3)
    cursor.acknowledge(cursor.read(1, 0), {"delivered": 3})
    (file,) = followed.folder.iterdir()
    followed.crash()
    file.write_bytes(b"rubbish" * 1000)
    followed.stored.lose(0)
    caplog.set_level("INFO")
    process, _ = restarted(followed, 12)
    assert process.outcomes() == {"filtered_for_it": 3}
    assert "a new destination" not in caplog.text
    assert "whether a destination got its spans that are gone" in caplog.text


def test_the_books_balance_when_the_accepted_were_lost(followed: Followed) -> None:
    cursor = followed.cursor(traces(), ignore)
    for _ in range(4):
        followed.append(b"x", 3)
    cursor.acknowledge(cursor.read(2, 0), {"delivered": 5, "rejected_by_peer": 1})
    followed.clock.advance(60)
    process, cursor = restarted(followed, 6 + 1)  # one of what was answered for is still there
    assert process.outcomes() == {"rejected_by_peer": 1}
    assert process.created() == {followed.clock.time_ns() / 1e9}
    assert cursor.outcomes == Counter(rejected_by_peer=1)


class Box:
    """Dead letters in a list."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def add(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


def lettered(bench: Bench) -> Box:
    """Let a delivery keep what it gives up."""
    box = Box()
    account = Account("tempo", TRACES, bench.house.telemetry, bench.house.registry.lock)
    letters = Letters("tempo", Signal.TRACES, box, bench.house.clock)
    notices = Notices("tempo", TRACES, bench.house.clock)
    bench.delivery = Delivery(bench.cursor, account, notices, 64 * KIB, letters)
    return box


def test_what_is_rejected_for_good_becomes_a_dead_letter_and_nothing_else_does() -> None:
    bench = Bench()
    box = lettered(bench)
    good, bad = request_of("good"), request_of("bad")
    bench.accept(good, bad)
    bench.take()
    bench.answer(Permanent("answered 400: no"))  # one of both is wrong
    bench.answer(Delivered())
    bench.answer(Permanent("answered 400: no"))
    assert [(one.payload, one.items, one.reason) for one in box.letters] == [
        (bad, 1, "answered 400: no")
    ]
    assert bench.outcomes == {"delivered": 1, "rejected_by_peer": 1}
    bench.house.close()


def test_what_is_too_large_by_itself_becomes_a_dead_letter() -> None:
    bench = Bench()
    box = lettered(bench)
    large, refused = sized("large", 80 * KIB), sized("refused", 10 * KIB)
    bench.accept(large)
    bench.take()
    bench.accept(refused)
    bench.take()
    bench.answer(TooLarge("answered 413"))
    assert [one.reason for one in box.letters] == [
        "it is larger than max_request_bytes",
        "answered 413",
    ]
    assert box.letters[1].payload == refused
    assert bench.outcomes == {"dead_lettered": 2}
    bench.house.close()


def test_what_spanmill_fails_on_becomes_a_dead_letter() -> None:
    bench = Bench()
    box = lettered(bench)
    bench.accept(request_of("odd"))
    bench.take()
    bench.delivery.again(bench.begin() if bench.in_flight is None else bench._ended())
    bench.delivery.abandon()
    assert [one.payload for one in box.letters] == [request_of("odd")]
    assert bench.outcomes == {"dead_lettered": 1}
    bench.house.close()
