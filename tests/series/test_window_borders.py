"""The kernel of windows takes no array that it could read or write beyond."""

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
from spanmill.series.window import SLOT_NS
from spanmill.series.window_histogram import BUCKETS

KERNEL = load_kernel("spanmill.series._window")
pytestmark = pytest.mark.skipif(KERNEL is None, reason="spanmill.series._window is not built")

REFUSED = (ValueError, IndexError, TypeError, OverflowError)
EDGES = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 2**31 - 1, 2**32 - 1, 2**52, 2**63 - 1]
POOL = np.array([*EDGES, *range(-3, 10)])
NUMBERS = st.sampled_from(EDGES) | st.integers(-3, 6)
FEW = st.integers(0, 6)
Draw = Callable[..., Any]
SLOTS = st.sampled_from([0, 1, 2**33, SLOT_NS, 2**64 - 1])
BOUNDS = np.exp2(np.arange(256) / 256 - 1.0)[::8].copy()


def values(draw: Draw, kind: str, *shape: int) -> npt.NDArray[Any]:
    """An array of any values of this kind, bit by bit; floats are ordinary ones now and then."""
    words = np.random.default_rng(draw(st.integers(0, 2**32))).choice(POOL, int(np.prod(shape)))
    if kind == "f8" and draw(st.booleans()):
        return words.astype(np.float64).reshape(shape)
    return words.astype(f"i{np.dtype(kind).itemsize}").view(kind).reshape(shape)


@st.composite
def lengths(draw: st.DrawFn) -> Callable[[], int]:
    """Mostly one length; now and then another."""
    usual = draw(FEW)
    return lambda: usual if draw(st.integers(0, 15)) else draw(FEW)


def buckets(draw: Draw) -> int:
    return BUCKETS if draw(st.integers(0, 9)) else draw(FEW)


@settings(max_examples=100)
@given(st.data())
def test_any_spans_are_counted_or_refused(data: st.DataObject) -> None:
    assert KERNEL is not None
    draw = data.draw
    bounds = BOUNDS if draw(st.booleans()) else values(draw, "f8", 32)
    pending = KERNEL.Pending(bounds, draw(st.sampled_from([1, 1024, 4096])), draw(FEW))
    for _ in range(draw(st.integers(1, 4))):
        length, rows = draw(lengths()), draw(lengths())
        sums = np.zeros((rows(), buckets(draw)), np.int64)
        arrival = draw(st.sampled_from([0, 1, 10**18, 2**64 - 1]))
        with contextlib.suppress(*REFUSED):
            pending.observe(
                values(draw, "u8", length()),
                values(draw, "u8", length()),
                values(draw, "f8", length()),
                values(draw, "i4", length()),
                values(draw, "i8", draw(FEW)),
                arrival,
                draw(SLOTS),
                draw(NUMBERS),
                draw(NUMBERS),
                sums,
                np.zeros(rows(), np.int64),
                np.zeros(rows(), np.int64),
            )
        with contextlib.suppress(*REFUSED):
            pending.add(values(draw, "i8", length()), values(draw, "i8", length()), draw(NUMBERS))
        with contextlib.suppress(*REFUSED):
            pending.drain(values(draw, "i8", draw(FEW)), values(draw, "i8", draw(FEW)))
        keys, parts = np.full(pending.used, -5), np.zeros(pending.used, np.int64)
        pending.drain(keys, parts)
        assert (keys >= 0).all()
        assert len(set(keys.tolist())) == len(keys)


@settings(max_examples=100)
@given(st.data())
def test_any_arrays_are_weighed_subtracted_and_merged_or_refused(data: st.DataObject) -> None:
    assert KERNEL is not None
    draw = data.draw
    length, rows = draw(lengths()), draw(lengths())
    with contextlib.suppress(*REFUSED):
        KERNEL.weigh(
            values(draw, "u8", length()),
            values(draw, "f8", length()),
            values(draw, "i4", length()),
            draw(st.sampled_from([0, 10**18, 2**64 - 1])),
            draw(SLOTS),
            draw(NUMBERS),
            np.zeros(rows()),
            np.zeros(rows(), np.int64),
        )
    with contextlib.suppress(*REFUSED):
        KERNEL.subtract(
            values(draw, "u4", length()),
            values(draw, "i8", length()),
            np.zeros((rows(), buckets(draw)), np.int64),
            np.zeros(rows(), np.int64),
        )
    guard, more = np.full(20, 77, np.uint32), np.full(20, 77, np.int64)
    room = draw(st.integers(0, 14))
    with contextlib.suppress(*REFUSED):
        KERNEL.merge(
            values(draw, "u4", length()),
            values(draw, "i8", length()),
            values(draw, "u4", length()),
            values(draw, "i8", length()),
            guard[:room],
            more[:room],
        )
    assert (guard[room:] == 77).all()
    assert (more[room:] == 77).all()


@settings(max_examples=100)
@given(st.data())
def test_any_sums_give_quantiles_or_are_refused(data: st.DataObject) -> None:
    assert KERNEL is not None
    draw = data.draw
    rows, shares = draw(lengths()), draw(lengths())
    sums = np.zeros((rows(), buckets(draw)), np.int64)
    if sums.size:
        sums.reshape(-1)[:: draw(st.integers(1, 700))] = draw(st.integers(0, 9))
    asked = values(draw, "f8", shares())
    if draw(st.booleans()):
        asked = np.sort(np.abs(asked) % 1.0)
    with contextlib.suppress(*REFUSED):
        KERNEL.quantiles(
            sums,
            values(draw, "i8", rows()),
            values(draw, "i8", rows()),
            asked,
            draw(st.sampled_from([1.0, 1 - 1e-12, float("nan"), -1.0, 1e300])),
            np.zeros(buckets(draw)),
            np.zeros((rows(), shares())),
        )


@pytest.mark.parametrize("slot_ns", [0, 1, 2**33])
def test_slots_too_short_for_their_numbers_are_refused(slot_ns: int) -> None:
    assert KERNEL is not None
    one, none = np.ones(1, np.uint64), np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="too short"):
        KERNEL.weigh(one, np.ones(1), none, 1, slot_ns, 0, np.zeros(1), np.zeros(1, np.int64))


def test_there_is_no_table_without_bounds() -> None:
    assert KERNEL is not None
    with pytest.raises(TypeError):
        KERNEL.Pending.__new__(KERNEL.Pending)
    with pytest.raises(ValueError, match="32 bounds"):
        KERNEL.Pending(np.ones(31), 1024, 0)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_the_largest_key_waits_like_any_other(seed: int) -> None:
    assert KERNEL is not None
    pending = KERNEL.Pending(BOUNDS, 4096, seed)
    given_keys = np.array([2**63 - 1, 0, 2**63 - 1, *range(1, 1500), 2**63 - 1])
    assert pending.add(given_keys, np.ones(len(given_keys), np.int64), 0) == len(given_keys)
    keys, parts = np.zeros(pending.used, np.int64), np.zeros(pending.used, np.int64)
    pending.drain(keys, parts)
    assert dict(zip(keys.tolist(), parts.tolist(), strict=True)) == {
        2**63 - 1: 3,
        **dict.fromkeys(range(1500), 1),
    }
    assert pending.used == 0


def test_sums_beyond_64_bits_go_round_as_in_numpy() -> None:
    assert KERNEL is not None
    most = np.array([2**63 - 1, 2**63 - 1])
    pending = KERNEL.Pending(BOUNDS, 1024, 0)
    pending.add(np.array([5, 5]), most, 0)
    keys, parts = np.zeros(1, np.int64), np.zeros(1, np.int64)
    pending.drain(keys, parts)
    assert parts.tolist() == [most.sum()] == [-2]
