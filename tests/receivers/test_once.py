"""Which requests are known again, and for how long."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.errors import CheckpointError
from spanmill.journal.log import KEY_BYTES, Signal
from spanmill.journal.state import decode_state, encode_state
from spanmill.receivers.once import Known, Once

SECOND = 10**9
SEED = b"the journal's id"


def once(window: int = 60, max_requests: int = 100, seed: bytes = SEED) -> Once:
    return Once(window * SECOND, max_requests, seed)


def key(number: int) -> bytes:
    return number.to_bytes(KEY_BYTES, "big")


def take(requests: Once, name: bytes, arrival: int, items: int = 1) -> None:
    """Take a request from its claim to its end."""
    assert requests.claim(name) is None
    requests.applied(name, items, {}, arrival * SECOND)
    requests.ended(name, Known(items))


def test_a_key_tells_bodies_clients_signals_and_journals_apart() -> None:
    keys = {
        source.key(signal, client, body)
        for source in (once(), once(seed=b"another"))
        for signal in (Signal.TRACES, Signal.METRICS)
        for client in ("10.0.0.1", "10.0.0.2")
        for body in (b"a", b"b", b"a" * 1000, b"b" * 1000)
    }

    assert len(keys) == 32
    assert {len(name) for name in keys} == {KEY_BYTES}
    assert once().key(Signal.TRACES, "c", b"x") == once().key(Signal.TRACES, "c", b"x")


def test_what_was_taken_is_known() -> None:
    requests = once()
    take(requests, key(1), 0, items=7)

    assert requests.claim(key(1)) == Known(7)
    assert requests.claim(key(2)) is None


def test_what_was_rejected_and_warned_of_is_known_too() -> None:
    requests = once()
    requests.claim(key(1))
    requests.warn(key(1), ["mind the gap"])
    requests.applied(key(1), 3, {"invalid_trace_id": 2}, 0)

    assert requests.claim(key(1)) == Known(5, {"invalid_trace_id": 2}, ("mind the gap",))


def test_a_copy_of_what_is_being_taken_waits_for_its_outcome() -> None:
    requests = once()
    requests.claim(key(1))
    copies = [requests.claim(key(1)) for _ in range(2)]

    requests.ended(key(1), Known(3))

    for copy in copies:
        assert isinstance(copy, Future)
        assert copy.result(0) == Known(3)


def test_after_a_failure_the_next_copy_is_taken_itself() -> None:
    requests = once()
    requests.claim(key(1))
    copy = requests.claim(key(1))

    requests.ended(key(1), None)

    assert isinstance(copy, Future)
    assert copy.result(0) is None
    assert requests.claim(key(1)) is None


def test_what_is_older_than_the_window_is_forgotten_with_the_next_record() -> None:
    requests = once(window=60)
    take(requests, key(1), 0)
    take(requests, key(2), 30)
    take(requests, key(3), 61)

    assert requests.claim(key(1)) is None
    assert requests.claim(key(2)) == Known(1)


def test_the_oldest_are_forgotten_where_there_are_too_many() -> None:
    requests = once(max_requests=2)
    for number in range(4):
        take(requests, key(number), 0)

    assert len(requests) == 2
    assert [requests.claim(key(number)) for number in range(4)] == [None, None, Known(1), Known(1)]


def test_ticks_and_copies_have_no_key_and_change_nothing() -> None:
    requests = once()
    requests.applied(b"", 0, {}, 0)

    assert len(requests) == 0


def test_replayed_records_are_known_with_what_was_rejected() -> None:
    requests = once()
    requests.applied(key(1), 3, {"invalid_trace_id": 2}, 0)

    assert requests.claim(key(1)) == Known(5, {"invalid_trace_id": 2})


records = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(0, 5),
        st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 9)),
        st.integers(0, 40),
    ),
    max_size=40,
)


@given(records, records)
def test_a_restored_one_goes_on_as_the_old_one(
    before: list[tuple[int, int, dict[str, int], int]],
    after: list[tuple[int, int, dict[str, int], int]],
) -> None:
    old, new = (once(window=60, max_requests=8) for _ in range(2))
    clock = 0
    for name, items, rejected, pause in before:
        clock += pause
        old.applied(key(name), items, rejected, clock * SECOND)
    new.restore(decode_state(encode_state(old.state())))
    for name, items, rejected, pause in after:
        clock += pause
        for requests in (old, new):
            requests.applied(key(name), items, rejected, clock * SECOND)

    assert [old.claim(key(n)) for n in range(31)] == [new.claim(key(n)) for n in range(31)]
    assert encode_state(old.state()) == encode_state(new.state())


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"seed": b"another"},
        {"keys": b"short"},
        {"items": np.array([1, 2, 3])},
        {"arrivals": None},
        {"told": [[key(9), 1, {}, []]]},
        {"told": [1]},
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, object]) -> None:
    old, new = once(), once()
    take(old, key(1), 0)
    take(new, key(2), 0)

    with pytest.raises(CheckpointError):
        new.restore({**decode_state(encode_state(old.state())), **change})

    assert new.claim(key(2)) == Known(1)


def test_the_journals_seed_is_taken_before_anything_is_known() -> None:
    requests = once(seed=b"for now")
    requests.reseed(SEED)

    assert requests.key(Signal.TRACES, "c", b"x") == once().key(Signal.TRACES, "c", b"x")


@pytest.mark.parametrize(("rejected", "most"), [({}, 254), ({"bad_id": 3}, 574)])
def test_the_memory_for_each_request_is_what_the_documentation_says(
    rejected: dict[str, int], most: int
) -> None:
    """Beyond `max_requests` too, when the tables are rebuilt with what has gone still in them."""
    count = 1 << 13
    once = Once(10**18, count, b"seed")
    tracemalloc.start()
    try:
        for n in range(count * 5 // 2):
            key = n.to_bytes(16, "big")
            once.applied(key, 1000 + n, dict(rejected), 10**18 + n * 10**6)
        highest = tracemalloc.get_traced_memory()[1] / count
    finally:
        tracemalloc.stop()
    assert most * 0.9 < highest < most + 1
