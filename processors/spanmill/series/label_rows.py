"""Label values by row, and the row of label values, in little memory."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.series.column import grown
from spanmill.series.kept_labels import LabelArray
from spanmill.series.snapshot import LabelValues

NO_ROW: Final = 0
"""No label set is kept at row 0."""

_CHUNK_BITS: Final = 10
_CHUNK: Final = 1 << _CHUNK_BITS
_TABLES: Final = 64
_FIRST_PLACES: Final = 8


class LabelRows:
    """Label sets at rows 1, 2, …, each found again by its values.

    Values are interned (`sys.intern`): equal ones of all rows are one string, which goes with the
    last of them. A row is found by open addressing with linear probing (Knuth, The Art of Computer
    Programming 3, section 6.4, algorithm L), by Python's own seeded hash of the values, so that
    whoever chooses names can't choose places. There are 64 tables, each of which grows alone: no
    growth moves more than a 64th of the rows. Nothing is taken out of a table when a label set is
    forgotten; its place leads nowhere until the table is made anew.

    Memory: 8 bytes a label and row for the values, 8 for the hash, 6 to 16 for the places. Nothing
    of it is looked at by Python's garbage collector.
    """

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._chunks: list[npt.NDArray[np.object_]] = []
        self._hashes = np.zeros(_CHUNK, np.int64)
        self._hash_at = self._hashes.data
        self._tables = [array("i", bytes(4 * (_FIRST_PLACES + 1))) for _ in range(_TABLES)]
        self._masks = [_FIRST_PLACES - 1] * _TABLES
        self._taken = [0] * _TABLES

    def find(self, key: LabelValues) -> int:
        """The row of a label set, or NO_ROW."""
        number = hash(key) or 1
        table = self._tables[number % _TABLES]
        place = (number >> 6) & self._masks[number % _TABLES]
        hash_at = self._hash_at
        while row := table[place]:
            if hash_at[row] == number and self._at(row) == key:
                return row
            place += 1
        return NO_ROW

    def put(self, row: int, key: LabelValues) -> None:
        """Keep a label set that isn't there at a row that has none."""
        number = hash(key) or 1
        chunk = row >> _CHUNK_BITS
        if chunk >= len(self._chunks):
            self._add_chunk()
        self._chunks[chunk][row & (_CHUNK - 1)] = list(map(sys.intern, key))
        which = number % _TABLES
        if self._taken[which] * 3 >= (self._masks[which] + 1) * 2:
            self._renew(which)
        self._place(which, row, number)
        self._hash_at[row] = number

    def forget(self, rows: npt.NDArray[np.int64]) -> None:
        """Forget the label sets at these rows, int64 (m,), each at most once."""
        self._hashes[rows] = 0
        for chunk, part in self._by_chunk(rows):
            chunk[part] = None

    def labels(self, rows: npt.NDArray[np.int64]) -> list[LabelValues]:
        """The label sets at these rows, which have one."""
        found: list[LabelValues] = []
        for chunk, part in self._by_chunk(rows):
            found.extend(map(tuple, chunk[part].tolist()))
        return found

    def values(self, rows: npt.NDArray[np.int64]) -> list[LabelArray]:
        """A copy of the label values at these rows, which have some, in parts: (n, labels)."""
        nothing = np.empty((0, self._labels), np.object_)
        return [nothing, *(chunk[part] for chunk, part in self._by_chunk(rows))]

    def put_all(self, rows: npt.NDArray[np.int64], keys: Sequence[LabelValues]) -> None:
        """Keep n different label sets of interned texts at rows (n,), ascending; all are empty."""
        last = int(rows[-1]) if len(rows) else NO_ROW
        while len(self._chunks) <= last >> _CHUNK_BITS:
            self._add_chunk()
        self._hashes[rows] = [hash(key) or 1 for key in keys]
        begin = 0
        for chunk, part in self._by_chunk(rows):
            if self._labels:
                chunk[part] = keys[begin : begin + len(part)]
            begin += len(part)
        tables = self._hashes[rows] % _TABLES
        for which in range(_TABLES):
            self._lay_out(which, rows[tables == which])

    def nbytes(self) -> int:
        """The memory of it, without the texts."""
        chunks = sum(chunk.nbytes for chunk in self._chunks)
        places = sum(table.itemsize * len(table) for table in self._tables)
        return chunks + self._hashes.nbytes + places

    def _at(self, row: int) -> LabelValues:
        return tuple(self._chunks[row >> _CHUNK_BITS][row & (_CHUNK - 1)].tolist())

    def _by_chunk(
        self, rows: npt.NDArray[np.int64]
    ) -> Sequence[tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]]:
        """Rows one after the other, those of one chunk at a time: by their places in it."""
        if not len(rows):
            return []
        chunks = rows >> _CHUNK_BITS
        cuts = np.flatnonzero(np.diff(chunks)) + 1
        firsts = [0, *cuts.tolist()]
        parts = np.split(rows & (_CHUNK - 1), cuts)
        return [(self._chunks[chunks[i]], part) for i, part in zip(firsts, parts, strict=True)]

    def _add_chunk(self) -> None:
        self._chunks.append(np.empty((_CHUNK, self._labels), np.object_))
        if len(self._chunks) * _CHUNK > len(self._hashes):
            self._hashes = grown(self._hashes, 2 * len(self._hashes))
            self._hash_at = self._hashes.data

    def _place(self, which: int, row: int, number: int) -> None:
        table = self._tables[which]
        place = (number >> 6) & self._masks[which]
        while table[place]:
            place += 1
        table[place] = row
        self._taken[which] += 1
        if place == len(table) - 1:
            table.append(0)  # so that every search ends

    def _renew(self, which: int) -> None:
        """Lay out one table anew, for the label sets that it still has."""
        rows = np.unique(np.frombuffer(self._tables[which], np.int32)).astype(np.int64)
        hashes = self._hashes[rows]
        # Places of rows that lead nowhere, or that another table's label set has now.
        self._lay_out(which, rows[(hashes != 0) & (hashes % _TABLES == which)])

    def _lay_out(self, which: int, rows: npt.NDArray[np.int64]) -> None:
        """Make a table of these rows."""
        places = max(_FIRST_PLACES, 1 << (2 * len(rows)).bit_length())
        wanted = (self._hashes[rows] >> 6) & (places - 1)
        order = np.argsort(wanted, kind="stable")
        # Each comes to its own place or right after the one before.
        steps = np.arange(len(rows))
        found = np.maximum.accumulate(wanted[order] - steps) + steps if len(rows) else wanted
        laid_out = np.zeros(max(places, int(found.max(initial=0)) + 1) + 1, np.int32)
        laid_out[found] = rows[order]
        self._tables[which] = array("i", laid_out.tobytes())
        self._masks[which] = places - 1
        self._taken[which] = len(rows)
