"""What histograms have counted, as arrays: how it goes from one column to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.kept_counts import kept_counts, read_counts
from spanmill.series.native import MAX_BUCKETS, MAX_SCALE, MIN_SCALE
from spanmill.series.snapshot import PackedNative
from spanmill.series.state_reader import StateReader

_AT_ONCE: Final = 4_096  # rows: what is needed meanwhile stays below 10 MB
_FURTHEST_BUCKET = 2**19
"""No bucket of a positive double is further from 0, at any scale."""


@dataclass(frozen=True, slots=True, eq=False)
class HistogramState:
    """The counts of s rows of a histogram, in nanoseconds.

    - `sums`: float64 (s,).
    - `bucket_counts`: float64 (s, b + 1), not cumulative: the finest buckets, those between all
      bounds of all layouts.
    - `native`: None where the histogram has no native form.
    """

    sums: npt.NDArray[np.float64]
    bucket_counts: npt.NDArray[np.float64]
    native: PackedNative | None

    def kept(self) -> State:
        """These counts as they are written."""
        native = self.native
        return {
            "rows": len(self.sums),
            "sums": kept_counts(self.sums),
            "buckets": kept_counts(self.bucket_counts.reshape(-1)),
            "native": None
            if native is None
            else {
                "schemas": native.schemas,
                "zeros": kept_counts(native.zero_counts),
                "firsts": native.firsts,
                "lengths": np.diff(native.begins).astype(np.uint8),
                "counts": kept_counts(native.counts),
            },
        }

    def check(self, rows: int, buckets: int, native: bool) -> None:
        """Raise ValueError where this isn't the state of so many rows with these buckets.

        Counts are taken as they are; shapes, scales and ranges are what memory depends on.
        """
        if self.sums.shape != (rows,) or self.bucket_counts.shape != (rows, buckets):
            raise ValueError("histograms with other buckets can't be merged")
        if (self.native is None) is native:
            raise ValueError("histograms of which one has no native form can't be merged")
        if self.native is not None:
            _check_native(self.native, rows)


def kept_histograms(copy: HistogramStorage, rows: int) -> Callable[[], list[State]]:
    """What writes the counts of all rows of a copy, later, a part at a time."""

    def written() -> list[State]:
        begins = range(0, rows, _AT_ONCE)
        parts = (np.arange(begin, min(begin + _AT_ONCE, rows)) for begin in begins)
        return [copy.state(part).kept() for part in parts]

    return written


def read_histograms(
    states: Sequence[StateReader], buckets: int, *, native: bool
) -> Iterator[HistogramState]:
    """Kept counts, part by part; raises CheckpointError where they have another form."""
    for state in states:
        yield _read(state, state.integer("rows"), buckets, native=native)


def _read(state: StateReader, rows: int, buckets: int, *, native: bool) -> HistogramState:
    kept = state.optional_part("native")
    packed = None
    if kept is not None:
        lengths = kept.array("lengths", np.uint8, (rows,))
        begins = np.append(0, np.cumsum(lengths, dtype=np.int64))
        packed = PackedNative(
            schemas=kept.array("schemas", np.int8, (rows,)),
            zero_counts=read_counts(kept.part("zeros"), rows),
            firsts=kept.array("firsts", np.int32, (rows,)),
            begins=begins,
            counts=read_counts(kept.part("counts"), int(begins[-1])),
        )
    found = HistogramState(
        sums=read_counts(state.part("sums"), rows),
        bucket_counts=read_counts(state.part("buckets"), rows * buckets).reshape(rows, buckets),
        native=packed,
    )
    try:
        found.check(rows, buckets, native)
    except ValueError as error:
        raise state.error(str(error)) from error
    return found


def _check_native(native: PackedNative, rows: int) -> None:
    begins = native.begins
    shapes = (native.schemas.shape, native.zero_counts.shape, native.firsts.shape)
    if shapes != ((rows,),) * 3 or begins.shape != (rows + 1,):
        raise ValueError("the arrays of native histograms differ in length")
    lengths = np.diff(begins)
    if begins[0] != 0 or begins[-1] != len(native.counts) or (lengths < 0).any():
        raise ValueError("native histograms whose counts don't follow each other")
    if (lengths > MAX_BUCKETS).any() or (np.abs(native.firsts) > _FURTHEST_BUCKET).any():
        raise ValueError(f"native histograms of more than {MAX_BUCKETS} buckets")
    if ((native.schemas < MIN_SCALE) | (native.schemas > MAX_SCALE)).any():
        raise ValueError(f"native histograms of a schema not in {MIN_SCALE} to {MAX_SCALE}")


class HistogramStorage(Protocol):
    """Where a histogram's counts are: arrays, or the compiled table. Both count alike."""

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Count durations, uint64 (n,) in ns, at rows (n,), each `weights` (n,) times."""
        ...

    def observe_spans(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        weights: npt.NDArray[np.float64],
        *,
        sizes: npt.NDArray[np.int64],
        calls: npt.NDArray[np.float64],
        size_sums: npt.NDArray[np.float64],
    ) -> int:
        """The same, and add weights to `calls` and sizes * weights to `size_sums` by row.

        Returns how many weights are not 1.
        """
        ...

    def state(self, rows: npt.NDArray[np.int64]) -> HistogramState:
        """A copy of these rows."""
        ...

    def merge_state(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Add a state that was checked to rows (s,), each as often as it comes."""
        ...

    def copy(self, rows: npt.NDArray[np.int64]) -> HistogramStorage:
        """A copy of these rows, as rows 0 to s - 1 of a storage of its own."""
        ...

    def put(self, rows: npt.NDArray[np.int64], state: HistogramState) -> None:
        """Put a state that was checked at rows (s,), which are empty, each once."""
        ...

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        ...

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Empty rows, int64 (m,), which other label sets will use."""
        ...

    def nbytes(self) -> int:
        """The memory of all rows."""
        ...
