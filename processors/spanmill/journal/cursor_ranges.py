"""Positions as ranges: what a cursor has read and nobody has answered for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""A first position, and the first one behind."""


class Ranges:
    """A set of positions, held as disjoint ranges in order, of which no two touch.

    Its memory grows with the number of ranges, not of positions. `add` takes what lies behind
    everything that is there; `remove` takes anything.
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []
        for begin, end in ranges:
            self.add(begin, end)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._begins, self._ends, strict=True)

    def __len__(self) -> int:
        return len(self._begins)

    @property
    def lowest(self) -> int | None:
        """The lowest position, if there is one."""
        return self._begins[0] if self._begins else None

    def add(self, begin: int, end: int) -> None:
        """Add positions behind all others; ValueError where they are not behind them."""
        if begin >= end:
            return
        if not self._ends or begin > self._ends[-1]:
            self._begins.append(begin)
            self._ends.append(end)
        elif begin == self._ends[-1]:
            self._ends[-1] = end
        else:
            raise ValueError(f"{begin} is not behind {self._ends[-1]}")

    def remove(self, begin: int, end: int) -> None:
        """Remove these positions, whichever of them are there."""
        if begin >= end:
            return
        first = bisect_right(self._ends, begin)
        last = first
        while last < len(self._begins) and self._begins[last] < end:
            last += 1
        if first == last:
            return
        left = (self._begins[first], begin)
        right = (end, self._ends[last - 1])
        kept = [(low, high) for low, high in (left, right) if low < high]
        self._begins[first:last] = [low for low, _ in kept]
        self._ends[first:last] = [high for _, high in kept]
