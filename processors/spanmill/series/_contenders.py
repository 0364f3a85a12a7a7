"""The compiled way of observations to exemplars' places: nearly all of them change nothing.

The rank of an observation is what `exemplar_records.ranks` computes. One that ranks above the
exemplar of its place replaces it here; what needs more (a place that has none, an equal rank) is
handed back to the pool.
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint64_t
from cython.cimports.libc.string import memcpy

SOURCE_SHA256: str = ""

Head = cython.struct(  # as a record of `exemplar_records.RECORD` begins
    rank=uint64_t,
    trace=uint64_t[2],
    span=uint64_t,
    duration=uint64_t,
    time=int64_t,
)

# These are above 2^31, where a literal would be a Python object: high and low half.
TRACE_0 = cython.declare(uint64_t, (cython.cast(uint64_t, 0x243F6A88) << 32) | 0x85A308D3)
TRACE_1 = cython.declare(uint64_t, (cython.cast(uint64_t, 0xB7E15162) << 32) | 0x8AED2A6B)
SPREAD = cython.declare(uint64_t, (cython.cast(uint64_t, 0x9E3779B9) << 32) | 0x7F4A7C15)
FNV_PRIME = cython.declare(uint64_t, (cython.cast(uint64_t, 0x100) << 32) | 0x1B3)

KEEP_ERRORS = cython.declare(cython.int, 0)
KEEP_ALL = cython.declare(cython.int, 1)
KEEP_BY_TRACE = cython.declare(cython.int, 2)


@cython.final
@cython.cclass
class Contenders:
    """Places of one histogram: `bounds` is uint64 (b,), the upper bounds of its finest buckets.

    A trace counts as kept where `keep` is 1; where the span is an error; and, where `keep` is 2,
    where the FNV-1a of its id, begun with `salted`, is at most `threshold`.
    """

    _bounds: uint64_t[::1]
    _keep: cython.int
    _salted: uint64_t
    _threshold: uint64_t

    def __init__(
        self, bounds: uint64_t[::1], keep: cython.int, salted: uint64_t, threshold: uint64_t
    ) -> None:
        self._bounds = bounds
        self._keep = keep
        self._salted = salted
        self._threshold = threshold

    def observe(
        self,
        rows: cython.const[int64_t][::1],
        durations: cython.const[uint64_t][::1],
        *,
        trace_ids: cython.const[uint8_t][:, ::1],
        span_ids: cython.const[uint8_t][:, ::1],
        errors: cython.const[uint8_t][::1],
        second: uint64_t,
        arrival_ns: int64_t,
        entries: cython.const[int32_t][::1],
        records: uint8_t[:, ::1],
        found: int64_t[::1],
        slots: int64_t[::1],
        ranks: uint64_t[::1],
    ) -> int:
        """Replace what observations (n,) rank above, and write which of them the pool must see.

        `entries` and `records` are the histogram's and the pool's, the records as bytes. Position,
        slot and rank of those for the pool go to `found`, `slots` and `ranks` (n,); returns their
        number.
        """
        i: cython.Py_ssize_t
        count: cython.Py_ssize_t = 0
        n: cython.Py_ssize_t = rows.shape[0]
        buckets: int64_t = self._bounds.shape[0] + 1
        capacity: int64_t = entries.shape[0] // buckets
        slot: int64_t
        entry: int64_t
        outside: cython.bint = False
        held: uint64_t = 0
        one = cython.declare(Head)
        if trace_ids.shape[1] != 16 or span_ids.shape[1] != 8 or records.shape[1] < 48:
            raise ValueError("ids of other sizes")
        if (
            min(durations.shape[0], errors.shape[0], trace_ids.shape[0], span_ids.shape[0]) < n
            or min(found.shape[0], slots.shape[0], ranks.shape[0]) < n
        ):
            raise ValueError("columns that are shorter than the rows")
        # Lengths, rows and entries are checked before the loops that use them. The loop that reads
        # entries does nothing else, so that it waits for many of them at a time.
        with cython.nogil, cython.boundscheck(False):
            for i in range(n):
                outside |= not 0 <= rows[i] < capacity
            if not outside:
                for i in range(n):
                    slots[i] = rows[i] * buckets + self._bucket(durations[i])
                    found[i] = entries[slots[i]]
                    outside |= not 0 <= found[i] < records.shape[0]
            if outside:
                n = 0
            for i in range(n):
                slot = slots[i]
                entry = found[i]
                memcpy(cython.address(one.trace[0]), cython.address(trace_ids[i, 0]), 16)
                memcpy(cython.address(one.span), cython.address(span_ids[i, 0]), 8)
                one.rank = self._rank(one, errors[i] != 0, second)
                memcpy(cython.address(held), cython.address(records[entry, 0]), 8)
                if one.rank < held:
                    continue
                if entry != 0 and one.rank > held:
                    one.duration = durations[i]
                    one.time = arrival_ns
                    memcpy(cython.address(records[entry, 0]), cython.address(one), 48)
                    continue
                found[count] = i
                slots[count] = slot
                ranks[count] = one.rank
                count += 1
        if outside:
            raise IndexError("a row or an entry that isn't there")
        return count

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(0)
    def _rank(self, one: Head, error: cython.bint, second: uint64_t) -> uint64_t:
        spread: uint64_t = ((one.trace[0] * TRACE_0) ^ (one.trace[1] * TRACE_1) ^ one.span) * SPREAD
        kept: uint64_t = 1
        if self._keep != KEEP_ALL and not error:
            kept = self._keep == KEEP_BY_TRACE and self._sampled(one)
        return (kept << 63) | (second << 30) | (spread >> 34)

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(2)
    def _sampled(self, one: Head) -> cython.bint:
        """`trace_sampling.TraceSampler.kept`."""
        state: uint64_t = self._salted
        i: cython.int
        trace_id = cython.declare(uint8_t[16])
        memcpy(trace_id, cython.address(one.trace[0]), 16)
        for i in range(16):
            state = (state ^ trace_id[i]) * FNV_PRIME
        return state <= self._threshold

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-1)
    def _bucket(self, duration: uint64_t) -> int64_t:
        """The number of bounds below a duration, found without a branch that could go wrong."""
        low: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t = self._bounds.shape[0]
        half: cython.Py_ssize_t
        while size > 1:
            half = size >> 1
            low += half * (self._bounds[low + half - 1] < duration)
            size -= half
        return low + (size == 1 and self._bounds[low] < duration)
