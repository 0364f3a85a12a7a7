"""Exemplars of one scrape, in arrays until they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        series, begins = np.unique(positions, return_index=True)
        ends = np.append(begins[1:], len(positions))
        self._ranges = dict(
            zip(
                series.tolist(),
                map(slice, begins.tolist(), ends.tolist()),
                strict=True,
            )
        )
        self._positions = positions
        self._buckets = buckets
        self._trace_ids = trace_ids
        self._span_ids = span_ids
        self._values = values
        self._seconds = seconds

    def part(self, chosen: npt.NDArray[np.int64]) -> PackedExemplars:
        """Those of the series at the positions `chosen`, int64 (m,), counted from 0 in its order.

        `chosen` ascends.
        """
        begins = np.searchsorted(self._positions, chosen)
        counts = np.searchsorted(self._positions, chosen, side="right") - begins
        positions = np.repeat(np.arange(len(chosen)), counts)
        # Where each begins among those that are chosen, and among all.
        these = np.arange(len(positions)) + np.repeat(begins - np.cumsum(counts) + counts, counts)
        return PackedExemplars(
            positions=positions,
            buckets=self._buckets[these],
            trace_ids=self._trace_ids[these],
            span_ids=self._span_ids[these],
            values=self._values[these],
            seconds=self._seconds[these],
        )

    def __getitem__(self, position: int) -> Mapping[int, Exemplar]:
        these = self._ranges[position]
        traces = self._trace_ids[these].tobytes().hex()
        spans = self._span_ids[these].tobytes().hex()
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
                    self._buckets[these].tolist(),
                    self._values[these].tolist(),
                    self._seconds[these].tolist(),
                    strict=True,
                )
            )
        }

    def __iter__(self) -> Iterator[int]:
        return iter(self._ranges)

    def __len__(self) -> int:
        return len(self._ranges)
