"""The kernels of the service graph take no array that they could read or write beyond."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanmill.kernels import load_kernel
from spanmill.processors.service_graph.pairing import Found, Pairing

PAIRING = load_kernel("spanmill.processors.service_graph._pairing")
COLUMNS = load_kernel("spanmill.processors.service_graph._columns")
pytestmark = pytest.mark.skipif(
    PAIRING is None or COLUMNS is None, reason="the kernels of the service graph are not built"
)

REFUSED = (ValueError, IndexError, TypeError, OverflowError)
EDGES = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 63, 64, 2**31 - 1, 2**31, 2**63 - 1]
POOL = np.array([*EDGES, *range(-3, 10)])
NUMBERS = st.sampled_from(EDGES) | st.integers(-3, 9)
FEW = st.integers(0, 6)
Draw = Callable[..., Any]


def values(draw: Draw, kind: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array of any values of this kind, bit by bit."""
    wide = np.random.default_rng(draw(st.integers(0, 2**32))).choice(POOL, int(np.prod(shape)))
    return wide.astype(f"i{np.dtype(kind).itemsize}").view(kind).reshape(shape)


@st.composite
def lengths(draw: st.DrawFn) -> Callable[[], int]:
    """Mostly one length; now and then another."""
    usual = draw(FEW)
    return lambda: usual if draw(st.integers(0, 15)) else draw(FEW)


def sides(draw: Draw, n: int, width: int = 6) -> npt.NDArray[np.int64]:
    return values(draw, "i8", (n, width))


@st.composite
def kept_sides(draw: st.DrawFn) -> tuple[Any, ...]:
    length = draw(lengths())
    rows = 5 if draw(st.integers(0, 9)) else draw(FEW)
    return (
        values(draw, "i8", (rows, length())),
        values(draw, "i4", (length(),)),
        values(draw, "u1", (length(),)),
    )


@st.composite
def right_sides(draw: st.DrawFn, *, ends: bool) -> tuple[Any, ...]:
    """Mostly what `copy_spans` and `copy_ends` could have given, for three names."""
    n = draw(FEW)
    words = values(draw, "i8", (5, n))
    words[0] = draw(st.permutations(range(n))) if not ends else [draw(FEW) for _ in range(n)]
    words[1] = np.sort(words[1])
    for i in range(n):
        most = i - 1 if ends else 2
        words[4, i] = draw(st.integers(-1, most)) if draw(st.integers(0, 9)) else draw(NUMBERS)
    services = np.array([draw(st.integers(0, 2)) for _ in range(n)], np.int32)
    flags = np.array([draw(st.integers(0, 63)) for _ in range(n)], np.uint8)
    return words, services, flags


def drained(pairing: Any) -> int:
    """Take all that there is out of it; how many edges there were."""
    pairing.take_unpaired()
    edges = np.empty((5, pairing.edge_count), np.int64)
    pairing.take_edges(edges)
    return len(edges[0])


def exercised(pairing: Any, draw: Draw) -> None:
    """Do with it whatever can be done; only what it says itself may go wrong."""
    for _ in range(draw(st.integers(1, 8))):
        call = draw(st.integers(0, 6))
        n, m = draw(FEW), draw(FEW)
        with contextlib.suppress(*REFUSED):
            if call == 0:
                width = 6 if draw(st.integers(0, 9)) else draw(FEW)
                ends = sides(draw, m)
                for end in ends:
                    end[4] = draw(FEW) if draw(st.integers(0, 9)) else end[4]
                pairing.take(sides(draw, n, width), draw(NUMBERS), ends, m, draw(NUMBERS))
            elif call == 1:
                pairing.expire(draw(NUMBERS))
            elif call == 2:
                pairing.mark_names(values(draw, "u1", (n,)))
            elif call == 3:
                pairing.rename(values(draw, "i4", (n,)))
            elif call == 4:
                pairing.take_edges(values(draw, "i8", (n, m)))
            elif call == 5:
                copied = draw(kept_sides())
                (pairing.copy_spans if n % 2 else pairing.copy_ends)(*copied)
            else:
                pairing.take_over(draw(kept_sides()), draw(kept_sides()), draw(NUMBERS))
    drained(pairing)
    assert pairing.keys[0] <= pairing.remembered
    assert pairing.keys[1] <= pairing.waiting


@settings(max_examples=100)
@given(st.data())
def test_any_arrays_are_paired_or_refused(data: st.DataObject) -> None:
    assert PAIRING is not None
    for limit in (3, 100, data.draw(NUMBERS)):
        wait_ns = data.draw(NUMBERS)
        if wait_ns < 0:
            with pytest.raises(ValueError, match="no time"):
                PAIRING.Pairing(wait_ns, limit, 1)
        else:
            exercised(PAIRING.Pairing(wait_ns, limit, data.draw(FEW)), data.draw)


@pytest.mark.parametrize("now_ns", [-1, -(2**63)])
def test_times_before_the_first_are_refused(now_ns: int) -> None:
    assert PAIRING is not None
    with pytest.raises(ValueError, match="no time has passed"):
        PAIRING.Pairing(30, 100, 1).expire(now_ns)
    with pytest.raises(ValueError, match="no time has passed"):
        Pairing(30, 100).expire(now_ns, Found())
    with pytest.raises(ValueError, match="less than no time"):
        PAIRING.Pairing(now_ns, 100, 1)
    with pytest.raises(ValueError, match="less than no time"):
        Pairing(now_ns, 100)


@settings(max_examples=100)
@given(right_sides(ends=False), right_sides(ends=True), st.data())
def test_what_is_taken_over_comes_back_or_is_refused(
    spans: tuple[Any, ...], ends: tuple[Any, ...], data: st.DataObject
) -> None:
    assert PAIRING is not None
    pairing = PAIRING.Pairing(30, 100, data.draw(FEW))
    try:
        pairing.take_over(spans, ends, 3)
    except ValueError:
        assert pairing.remembered == pairing.waiting == 0
        assert pairing.keys == (0, 0)
    else:
        for given_columns, copy in ((spans, pairing.copy_spans), (ends, pairing.copy_ends)):
            copied = tuple(np.empty_like(column) for column in given_columns)
            copy(*copied)
            for column, again in zip(given_columns, copied, strict=True):
                assert column.tobytes() == again.tobytes()
        if pairing.remembered or pairing.waiting:
            with pytest.raises(ValueError, match="already"):
                pairing.take_over(spans, ends, 3)
    exercised(pairing, data.draw)


@pytest.mark.parametrize("more", [-9, -1, 1])
@pytest.mark.parametrize("column", range(3))
def test_columns_of_another_length_than_what_is_kept_are_refused(column: int, more: int) -> None:
    assert PAIRING is not None
    pairing = PAIRING.Pairing(30, 100, 1)
    kept = np.zeros((5, 9), np.int64), np.zeros(9, np.int32), np.zeros(9, np.uint8)
    kept[0][0] = range(9)
    kept[0][4] = -1
    wrong = list(kept)
    wrong[column] = np.zeros((*kept[column].shape[:-1], 9 + more), kept[column].dtype)
    with pytest.raises(ValueError, match="differ in length"):
        pairing.take_over(kept, tuple(wrong), 3)
    with pytest.raises(ValueError, match="differ in length"):
        pairing.take_over(tuple(wrong), kept, 3)
    pairing.take_over(kept, kept, 3)
    for copy in (pairing.copy_spans, pairing.copy_ends):
        with pytest.raises(ValueError, match="no room"):
            copy(*wrong)


@st.composite
def batch_columns(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly columns of one batch; now and then one is too long, too short, or has wrong codes."""
    length = draw(lengths())
    most = draw(st.integers(1, 3))

    def codes(least: int) -> npt.NDArray[np.int32]:
        usual = np.array([draw(st.integers(least, most - 1)) for _ in range(length())], np.int32)
        if len(usual) and not draw(st.integers(0, 15)):
            usual[0] = draw(st.integers(-(2**31), 2**31 - 1))
        return usual

    links = draw(lengths())
    return {
        "arrival_ns": draw(NUMBERS),
        "kind": values(draw, "u1", (length(),)),
        "status": values(draw, "u1", (length(),)),
        "trace_id": values(draw, "u1", (length(), 16 if draw(st.integers(0, 20)) else 8)),
        "span_id": values(draw, "u1", (length(), 8 if draw(st.integers(0, 20)) else 3)),
        "parent_id": values(draw, "u1", (length(), 8)),
        "duration": values(draw, "u8", (length(),)),
        "weight": values(draw, "f8", (length(),)),
        "resource": codes(0),
        "services": values(draw, "i4", (most,)),
        "peers": tuple((codes(-1), values(draw, "i4", (most,))) for _ in range(draw(FEW))),
        "databases": tuple(codes(-1) for _ in range(draw(FEW))),
        "link_rows": values(draw, "i8", (links(),)),
        "link_keys": values(draw, "i8", (links(),)),
    }


@settings(max_examples=100)
@given(batch_columns(), st.data())
def test_any_columns_become_sides_or_are_refused(
    given_columns: dict[str, Any], data: st.DataObject
) -> None:
    assert COLUMNS is not None
    assert PAIRING is not None
    try:
        columns = COLUMNS.Columns(**given_columns)
    except REFUSED:
        return
    pairing = PAIRING.Pairing(30, 100, 1)
    guard = np.full((40, 6), 77, np.int64)
    for _ in range(4):
        room, links = data.draw(FEW), data.draw(st.integers(0, 14))
        limit = room if data.draw(st.integers(0, 9)) else data.draw(NUMBERS)
        found_sides, found_ends = guard[:room], guard[room + 1 : room + 1 + links]
        before = guard[room + 1 + links :].copy()
        with contextlib.suppress(*REFUSED):
            side_count, end_count = columns.fill_sides(found_sides, found_ends, limit)
            assert side_count <= max(limit, 0)
            assert end_count <= side_count + len(given_columns["link_rows"])
            pairing.take(found_sides, side_count, found_ends, end_count, -1)
        assert (guard[room + 1 + links :] == before).all()
        assert (guard[room] == 77).all()
        guard[:] = 77
    drained(pairing)


def test_nothing_is_there_without_arguments() -> None:
    assert COLUMNS is not None
    assert PAIRING is not None
    for made in (PAIRING.Pairing, COLUMNS.Columns, PAIRING.Ring):
        with pytest.raises(TypeError):
            made.__new__(made)


@given(st.data())
def test_any_keys_are_numbered_or_refused(data: st.DataObject) -> None:
    assert COLUMNS is not None
    length = data.draw(lengths())
    keys, distinct, counts = (values(data.draw, "i8", (length(),)) for _ in range(3))
    expected = list(dict.fromkeys(keys.tolist()))
    try:
        many = COLUMNS.number_keys(keys, distinct, counts)
    except ValueError:
        assert not len(keys) == len(distinct) == len(counts)
        return
    assert distinct[:many].tolist() == expected
    assert counts[:many].sum() == len(keys)


@pytest.mark.parametrize("wrong", [None, 1, "x", np.zeros(3, np.float32), np.zeros((2, 2, 2))])
def test_what_is_no_such_array_is_refused(wrong: Any) -> None:
    assert PAIRING is not None
    pairing = PAIRING.Pairing(30, 100, 1)
    calls: list[Callable[[], Any]] = [
        lambda: pairing.take(wrong, 0, wrong, 0, -1),
        lambda: pairing.take_edges(wrong),
        lambda: pairing.mark_names(wrong),
        lambda: pairing.rename(wrong),
        lambda: pairing.copy_spans(wrong, wrong, wrong),
        lambda: pairing.take_over((wrong, wrong, wrong), (wrong, wrong, wrong), 3),
        lambda: pairing.take_over(wrong, wrong, 3),
    ]
    for call in calls:
        with pytest.raises((*REFUSED, AttributeError)):
            call()
