"""Exemplars of one scrape, in arrays until they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spanmill.series.snapshot import Exemplar


class PackedExemplars(Mapping[int, Mapping[int, Exemplar]]):
    """By the position of a series, then by the position of a bucket.

    The objects are made as they are asked for: taking a snapshot holds up the processors, and
    the text format never asks.

    - `positions`, `buckets`: int64 (n,), ascending by position; no pair comes twice.
    - `trace_ids`: uint8 (n, 16); `span_ids`: uint8 (n, 8).
    - `values`: float64 (n,), in the family's unit; `seconds`: float64 (n,), since the epoch.
    """

    def __init__(
        self,
        *,
        positions: npt.NDArray[np.int64],
        buckets: npt.NDArray[np.int64],
        trace_ids: npt.NDArray[np.uint8],
        span_ids: npt.NDArray[np.uint8],
        values: npt.NDArray[np.float64],
        seconds: npt.NDArray[np.float64],
    ) -> None:
        self.positions = positions
        self.buckets = buckets
        self.trace_ids = trace_ids
        self.span_ids = span_ids
        self.observed = values
        self.seconds = seconds

    @cached_property
    def _ranges(self) -> dict[int, slice]:
        series, begins = np.unique(self.positions, return_index=True)
        ends = np.append(begins[1:], len(self.positions))
        ranges = map(slice, begins.tolist(), ends.tolist())
        return dict(zip(series.tolist(), ranges, strict=True))

    def part(self, chosen: npt.NDArray[np.int64]) -> PackedExemplars:
        """Those of the series at the positions `chosen`, int64 (m,), counted from 0 in its order.

        `chosen` ascends.
        """
        begins = np.searchsorted(self.positions, chosen)
        counts = np.searchsorted(self.positions, chosen, side="right") - begins
        positions = np.repeat(np.arange(len(chosen)), counts)
        # Where each begins among those that are chosen, and among all.
        these = np.arange(len(positions)) + np.repeat(begins - np.cumsum(counts) + counts, counts)
        return PackedExemplars(
            positions=positions,
            buckets=self.buckets[these],
            trace_ids=self.trace_ids[these],
            span_ids=self.span_ids[these],
            values=self.observed[these],
            seconds=self.seconds[these],
        )

    def __getitem__(self, position: int) -> Mapping[int, Exemplar]:
        these = self._ranges[position]
        traces = self.trace_ids[these].tobytes().hex()
        spans = self.span_ids[these].tobytes().hex()
        return {
            bucket: Exemplar(
                labels=(
                    ("trace_id", traces[32 * i : 32 * i + 32]),
                    ("span_id", spans[16 * i : 16 * i + 16]),
                ),
                value=value,
                seconds=seconds,
            )
            for i, (bucket, value, seconds) in enumerate(
                zip(
                    self.buckets[these].tolist(),
                    self.observed[these].tolist(),
                    self.seconds[these].tolist(),
                    strict=True,
                )
            )
        }

    def __iter__(self) -> Iterator[int]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)
