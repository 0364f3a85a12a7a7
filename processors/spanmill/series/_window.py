"""Kernel: what a window of latency histograms does for each span, and for each row at a tick.

`window_histogram.py` is its reference and says what the numbers mean. From top to bottom: the
bucket of a duration, the cells that wait to be sorted into slots, and what reads or subtracts.
One file, since all of it shares the numbering of cells, and C inlines only within one module.

Compiled by Cython in pure-Python mode; never run as it stands.
"""

# Kernels come without `from __future__ import annotations`: their annotations are C types.
import cython
from cython.cimports.libc.math import ceil, frexp, rint
from cython.cimports.libc.stdlib import calloc, free

SOURCE_SHA256: str = ""

BUCKETS = cython.declare(cython.longlong, 2050)
ONE_SPAN = cython.declare(cython.double, 4096.0)
MAX_WEIGHT = cython.declare(cython.double, 16777216.0)
NO_ROW = cython.declare(cython.longlong, -1)
# The upper bounds of the 32 sub-buckets of [0.5, 1], the range of a mantissa as frexp gives it.
SUB_BUCKETS = cython.declare(cython.int, 32)

_LEAST_ENTRIES = cython.declare(cython.longlong, 1024)
_SLOT_BITS = cython.declare(cython.int, 32)

# Slots of at least so many nanoseconds have numbers below 2^31, whatever the time is.
_LEAST_SLOT_NS = cython.declare(cython.ulonglong, (1 << 33) + 1)

_STEP = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_FIRST = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)
_SECOND = cython.declare(cython.ulonglong, 0x94D049BB133111EB)

# `mark` is a key and one more, 0 where an entry is free; unsigned, since a key may be 2^63 - 1.
Entry = cython.struct(mark=cython.ulonglong, parts=cython.longlong)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _mixed(word: cython.ulonglong) -> cython.ulonglong:
    """SplitMix64 (Steele, Lea, Flood 2014, figure 16)."""
    word += _STEP
    word ^= word >> 30
    word *= _FIRST
    word ^= word >> 27
    word *= _SECOND
    word ^= word >> 31
    return word


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _plus(some: cython.longlong, more: cython.longlong) -> cython.longlong:
    """The sum of both modulo 2^64, as numpy has it: in C an overflow could become anything."""
    return cython.cast(
        cython.longlong,
        cython.cast(cython.ulonglong, some) + cython.cast(cython.ulonglong, more),
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _minus(some: cython.longlong, less: cython.longlong) -> cython.longlong:
    """The difference of both, likewise."""
    return cython.cast(
        cython.longlong,
        cython.cast(cython.ulonglong, some) - cython.cast(cython.ulonglong, less),
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _bounded(weight: cython.double) -> cython.double:
    """A weight as it counts: at most 2^24, and 0 instead of less or of no number."""
    if not weight > 0:
        return 0.0
    return weight if weight < MAX_WEIGHT else MAX_WEIGHT


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _slot(
    end: cython.ulonglong, arrival: cython.ulonglong, slot_ns: cython.ulonglong
) -> cython.longlong:
    """The slot of a span, by the earlier of its end and its arrival."""
    return cython.cast(cython.longlong, (end if end < arrival else arrival) // slot_ns)


def weigh(
    end: cython.const[cython.ulonglong][::1],
    weight: cython.const[cython.double][::1],
    codes: cython.const[cython.int][::1],
    arrival: cython.ulonglong,
    slot_ns: cython.ulonglong,
    oldest: cython.longlong,
    weights: cython.double[::1],
    counts: cython.longlong[::1],
) -> int:
    """Add up the spans of each group that are in time, by weight and by number.

    `end`, `weight` and `codes`, the groups, are (n,); `weights` and `counts`, zeros, (m,).
    Returns how many spans are late: their slots are before `oldest`.
    """
    n: cython.Py_ssize_t = codes.shape[0]
    i: cython.Py_ssize_t
    late: cython.Py_ssize_t = 0
    if end.shape[0] != n or weight.shape[0] != n or weights.shape[0] != counts.shape[0]:
        raise ValueError("the columns differ in length")
    if slot_ns < _LEAST_SLOT_NS:
        raise ValueError("slots are too short")
    for i in range(n):
        if _slot(end[i], arrival, slot_ns) < oldest:
            late += 1
            continue
        if codes[i] < 0:
            raise ValueError("a span has no group")
        weights[codes[i]] += _bounded(weight[i])
        counts[codes[i]] += 1
    return late


@cython.final
@cython.cclass
class Pending:
    """Counts that wait to be sorted into slots: parts of a span by slot and cell.

    A table with open addressing, at most half full; it doubles up to `limit` entries, and is to
    be drained when half of them are taken. Its hash has a seed, so that nobody can contrive spans
    that meet. 16 bytes an entry, so at most 32 for each that waits, or 16 KB.
    """

    _entries: cython.pointer(Entry)
    _size: cython.longlong
    _limit: cython.longlong
    _seed: cython.ulonglong
    _used: cython.longlong
    _bounds: cython.double[32]
    _starts: cython.int[32]

    def __cinit__(
        self,
        bounds: cython.const[cython.double][::1],
        limit: cython.longlong,
        seed: cython.ulonglong,
    ) -> None:
        i: cython.int
        if bounds.shape[0] != SUB_BUCKETS:
            raise ValueError("there are 32 bounds of sub-buckets")
        self._limit = limit
        self._seed = seed
        for i in range(SUB_BUCKETS):
            self._bounds[i] = bounds[i]
        # How many bounds are below a mantissa at least, by its first five bits.
        for i in range(SUB_BUCKETS):
            self._starts[i] = 0
            while self._starts[i] < SUB_BUCKETS and self._bounds[self._starts[i]] < 0.5 + i / 64.0:
                self._starts[i] += 1
        self._resize(_LEAST_ENTRIES)

    def __dealloc__(self) -> None:
        free(self._entries)

    @property
    def used(self) -> int:
        """How many counts wait."""
        return self._used

    def observe(
        self,
        end: cython.const[cython.ulonglong][::1],
        duration: cython.const[cython.ulonglong][::1],
        weight: cython.const[cython.double][::1],
        codes: cython.const[cython.int][::1],
        rows: cython.const[cython.longlong][::1],
        arrival: cython.ulonglong,
        slot_ns: cython.ulonglong,
        oldest: cython.longlong,
        begin: cython.Py_ssize_t,
        sums: cython.longlong[:, ::1],
        totals: cython.longlong[::1],
        lows: cython.longlong[::1],
    ) -> int:
        """Count the spans from `begin` on, until all are counted or the table is half full.

        The columns are (n,), `rows` is the row of each group or NO_ROW; `sums` (r, BUCKETS),
        `totals` (r,) and `lows` (r,), the lowest bucket, are added to. Returns where it ended.
        """
        n: cython.Py_ssize_t = codes.shape[0]
        i: cython.Py_ssize_t
        row: cython.longlong
        slot: cython.longlong
        bucket: cython.longlong
        parts: cython.longlong
        if end.shape[0] != n or duration.shape[0] != n or weight.shape[0] != n:
            raise ValueError("the columns differ in length")
        if sums.shape[1] != BUCKETS:
            raise ValueError("a row has 2050 buckets")
        if slot_ns < _LEAST_SLOT_NS or begin < 0:
            raise ValueError("slots are too short, or spans begin before the first")
        for i in range(begin, n):
            slot = _slot(end[i], arrival, slot_ns)
            if slot < oldest:
                continue
            if codes[i] < 0:
                raise ValueError("a span has no group")
            row = rows[codes[i]]
            if row == NO_ROW:
                continue
            if row < 0:
                raise ValueError("a group has no such row")
            if not self._has_room():
                return i
            bucket = self._bucket(duration[i])
            parts = cython.cast(cython.longlong, rint(_bounded(weight[i]) * ONE_SPAN))
            sums[row, bucket] = _plus(sums[row, bucket], parts)
            totals[row] = _plus(totals[row], parts)
            lows[row] = min(lows[row], bucket)
            self._add((slot << _SLOT_BITS) | (row * BUCKETS + bucket), parts)
        return n

    def add(
        self,
        keys: cython.const[cython.longlong][::1],
        parts: cython.const[cython.longlong][::1],
        begin: cython.Py_ssize_t,
    ) -> int:
        """Add counts from `begin` on, until all are there or half is full; returns where it ended.

        A key is slot << 32 | cell.
        """
        i: cython.Py_ssize_t
        if parts.shape[0] != keys.shape[0] or begin < 0:
            raise ValueError("the columns differ in length")
        for i in range(begin, keys.shape[0]):
            if not self._has_room():
                return i
            if keys[i] < 0:
                raise ValueError("a count has no slot")
            self._add(keys[i], parts[i])
        return keys.shape[0]

    def drain(self, keys: cython.longlong[::1], parts: cython.longlong[::1]) -> None:
        """Move all that waits into (used,) columns, in no order.

        Raises MemoryError, and then all that waits goes on waiting.
        """
        i: cython.longlong
        at: cython.Py_ssize_t = 0
        entries: cython.pointer(Entry)
        if keys.shape[0] != self._used or parts.shape[0] != self._used:
            raise ValueError("there is no room for what waits")
        entries = _free_entries(_LEAST_ENTRIES)
        for i in range(self._size):
            if self._entries[i].mark:
                keys[at] = cython.cast(cython.longlong, self._entries[i].mark - 1)
                parts[at] = self._entries[i].parts
                at += 1
        free(self._entries)
        self._entries = entries
        self._size = _LEAST_ENTRIES
        self._used = 0

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _bucket(self, duration: cython.ulonglong) -> cython.longlong:
        """The bucket of a duration, 0 for 0, as `buckets_of` finds it."""
        exponent: cython.int = 0
        below: cython.int
        mantissa: cython.double
        if duration == 0:
            return 0
        mantissa = frexp(cython.cast(cython.double, duration), cython.address(exponent))
        below = self._starts[cython.cast(cython.int, (mantissa - 0.5) * 64.0)]
        while below < SUB_BUCKETS and self._bounds[below] < mantissa:
            below += 1
        return cython.cast(cython.longlong, exponent - 1) * SUB_BUCKETS + below + 1

    @cython.cfunc
    @cython.inline
    @cython.exceptval(-1, check=False)
    def _has_room(self) -> cython.bint:
        """Whether one more count finds room; makes it where the limit allows it."""
        if 2 * self._used < self._size:
            return True
        if self._size >= self._limit:
            return False
        self._resize(2 * self._size)
        return True

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _place(self, mark: cython.ulonglong) -> cython.pointer(Entry):
        """The entry with this mark, or the free one where it would be."""
        i: cython.longlong
        i = cython.cast(
            cython.longlong,
            _mixed((mark - 1) ^ self._seed) & cython.cast(cython.ulonglong, self._size - 1),
        )
        while self._entries[i].mark != 0 and self._entries[i].mark != mark:
            i = (i + 1) & (self._size - 1)
        return cython.address(self._entries[i])

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _add(self, key: cython.longlong, parts: cython.longlong) -> cython.void:
        mark: cython.ulonglong = cython.cast(cython.ulonglong, key) + 1
        entry: cython.pointer(Entry) = self._place(mark)
        if entry.mark == 0:
            entry.mark = mark
            self._used += 1
        entry.parts = _plus(entry.parts, parts)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _resize(self, size: cython.longlong) -> cython.int:
        old: cython.pointer(Entry) = self._entries
        old_size: cython.longlong = self._size
        i: cython.longlong
        self._entries = _free_entries(size)
        self._size = size
        for i in range(old_size):
            if old[i].mark:
                self._place(old[i].mark)[0] = old[i]
        free(old)
        return 0


@cython.cfunc
def _free_entries(size: cython.longlong) -> cython.pointer(Entry):
    """So many free entries; raises MemoryError."""
    entries: cython.pointer(Entry)
    entries = cython.cast(cython.pointer(Entry), calloc(size, cython.sizeof(Entry)))
    if not entries:
        raise MemoryError
    return entries


def subtract(
    cells: cython.const[cython.uint][::1],
    counts: cython.const[cython.longlong][::1],
    sums: cython.longlong[:, ::1],
    totals: cython.longlong[::1],
) -> None:
    """Take the counts of some cells, both (n,), from the sums and totals of their rows."""
    i: cython.Py_ssize_t
    if cells.shape[0] != counts.shape[0] or sums.shape[1] != BUCKETS:
        raise ValueError("the columns differ in length")
    row: cython.Py_ssize_t
    bucket: cython.Py_ssize_t
    for i in range(cells.shape[0]):
        row = cells[i] // BUCKETS
        bucket = cells[i] % BUCKETS
        sums[row, bucket] = _minus(sums[row, bucket], counts[i])
        totals[row] = _minus(totals[row], counts[i])


def merge(
    cells: cython.const[cython.uint][::1],
    counts: cython.const[cython.longlong][::1],
    more: cython.const[cython.uint][::1],
    more_counts: cython.const[cython.longlong][::1],
    out: cython.uint[::1],
    out_counts: cython.longlong[::1],
) -> int:
    """Merge two ascending runs of cells into one, of which the number is returned."""
    a: cython.Py_ssize_t = 0
    b: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t = 0
    n: cython.Py_ssize_t = cells.shape[0]
    m: cython.Py_ssize_t = more.shape[0]
    if counts.shape[0] != n or more_counts.shape[0] != m:
        raise ValueError("the columns differ in length")
    if out.shape[0] < n + m or out_counts.shape[0] < n + m:
        raise ValueError("there is no room for both")
    while a < n or b < m:
        if b == m or (a < n and cells[a] <= more[b]):
            out[at] = cells[a]
            out_counts[at] = counts[a]
            if b < m and more[b] == cells[a]:
                out_counts[at] = _plus(out_counts[at], more_counts[b])
                b += 1
            a += 1
        else:
            out[at] = more[b]
            out_counts[at] = more_counts[b]
            b += 1
        at += 1
    return at


def quantiles(
    sums: cython.const[cython.longlong][:, ::1],
    totals: cython.const[cython.longlong][::1],
    lows: cython.const[cython.longlong][::1],
    shares: cython.const[cython.double][::1],
    not_above: cython.double,
    values: cython.const[cython.double][::1],
    out: cython.double[:, ::1],
) -> None:
    """Write the quantiles of each row that has spans: `out` is (r, q), `shares` (q,), ascending.

    `values` (BUCKETS,) stand for the buckets; `not_above` corrects a rank for its rounding.
    """
    row: cython.Py_ssize_t
    q: cython.Py_ssize_t
    bucket: cython.longlong
    running: cython.longlong
    rank: cython.longlong
    if values.shape[0] != BUCKETS or sums.shape[1] != BUCKETS or out.shape[1] != shares.shape[0]:
        raise ValueError("the columns differ in length")
    for q in range(shares.shape[0]):
        if not 0 <= shares[q] * not_above <= 1:
            raise ValueError("a quantile is a share from 0 to 1")
    for row in range(sums.shape[0]):
        if totals[row] <= 0:
            continue
        bucket = lows[row]
        running = sums[row, bucket]
        for q in range(shares.shape[0]):
            rank = cython.cast(
                cython.longlong,
                ceil(cython.cast(cython.double, totals[row]) * shares[q] * not_above),
            )
            rank = max(rank, 1)
            while running < rank:
                bucket += 1
                running = _plus(running, sums[row, bucket])
            out[row, q] = values[bucket]
