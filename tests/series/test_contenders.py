"""The kernel gives exemplars their places as the reference does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.kernels import SWITCH, load_kernel
from spanmill.series.exemplars import ExemplarPool, HistogramExemplars
from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import Exemplar

pytestmark = pytest.mark.skipif(
    load_kernel("spanmill.series._contenders") is None, reason="the kernel is not built"
)

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
LAYOUTS = ((10, 1000), (1, 10, 500, 2**63))
ROWS = 4

observations = st.tuples(
    st.integers(0, ROWS - 1),
    st.sampled_from([0, 1, 2, 10, 11, 1001, 2**63, 2**64 - 1]),
    st.integers(0, 4).map(lambda number: number * (2**127 + 2**70 + 1)),
    st.integers(0, 2).map(lambda number: number * (2**63 + 1)),
    st.booleans(),
)
batches = st.lists(
    st.tuples(st.sampled_from([-NOW, 0, SECOND, 2 * SECOND]), st.lists(observations, max_size=20)),
    max_size=6,
)


@contextmanager
def kernels(switch: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, {SWITCH: switch}):
        yield


def shown(
    switch: str,
    size: int,
    ratio: float,
    given_batches: Sequence[tuple[int, Sequence[tuple[int, int, int, int, bool]]]],
) -> list[dict[int, dict[int, Exemplar]]]:
    """Each layout's exemplars, by row and bucket, after every batch."""
    with kernels(switch):
        pool = ExemplarPool(size, ratio)
        label_sets = LabelSets(("name",), 100, None)
        histogram = pool.histogram(label_sets, LAYOUTS)
    steps = []
    for seconds, batch in given_batches:
        observe(histogram, batch, NOW + seconds)
        for layout in range(len(LAYOUTS)):
            found = histogram.exemplars(np.arange(ROWS), layout, SECOND)
            steps.append({row: dict(found[row]) for row in found})
    return steps


def observe(
    histogram: HistogramExemplars,
    batch: Sequence[tuple[int, int, int, int, bool]],
    arrival_ns: int,
) -> None:
    histogram.observe(
        np.array([row for row, *_ in batch], np.int64),
        np.array([duration for _, duration, *_ in batch], np.uint64),
        trace_ids=_bytes([trace.to_bytes(17, "big")[1:] for _, _, trace, *_ in batch], 16),
        span_ids=_bytes([span.to_bytes(9, "big")[1:] for *_, span, _ in batch], 8),
        errors=np.array([error for *_, error in batch], np.bool_),
        arrival_ns=arrival_ns,
    )


def _bytes(ids: list[bytes], width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, width)


@given(st.sampled_from([1, 3, 100]), st.sampled_from([0.0, 0.4, 1.0]), batches)
def test_the_kernel_and_the_reference_show_the_same_after_every_batch(
    size: int,
    ratio: float,
    given_batches: list[tuple[int, list[tuple[int, int, int, int, bool]]]],
) -> None:
    assert shown("on", size, ratio, given_batches) == shown("off", size, ratio, given_batches)


def test_a_row_that_is_not_there_is_refused() -> None:
    histogram = ExemplarPool(10).histogram(LabelSets(("name",), 10, None), LAYOUTS)
    for row in (-1, 2**40):
        with pytest.raises(IndexError):
            observe(histogram, [(row, 1, 1, 1, False)], NOW)
