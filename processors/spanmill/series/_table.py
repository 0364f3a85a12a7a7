"""The compiled storage of histograms: a small block of memory for each row that has any counts.

A block is a `Row` and behind it two runs of counters: the classic ones (the finest buckets of all
layouts, then the zero bucket of the native form) and, from the next multiple of 8 bytes on, the
native ones from bucket `first` on, `held` of them. The counters of a run are uint8, uint16,
uint32 or float64, the narrowest that is exact; a run is laid out anew where a count no longer
fits. An empty row is a null pointer.

What is computed is what `histogram_arrays.py` and `native.py` compute, addition by addition.
Observing goes over the spans of a batch twice: first to find their native buckets and to widen
the ranges of their rows, then to count, since a row's scale depends on all of the batch.

It is longer than other kernels: whatever reads or changes a block stands here, in one module, since
C functions are inlined only within one.
"""

import cython
from cython.cimports.libc.stdint import (
    int8_t,
    int32_t,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy

SOURCE_SHA256: str = ""

Row = cython.struct(
    total=cython.double,  # the sum of ns * weight
    low=int32_t,  # the populated native range at `scale`; low > high where there is none
    high=int32_t,
    first=int32_t,
    held=uint8_t,
    scale=int8_t,
    classic_width=uint8_t,  # a counter has 1 << width bytes; FLOATS are float64
    native_width=uint8_t,
)
Block = cython.typedef(cython.pointer(Row))
Rows = cython.typedef(cython.pointer(Block))
Counters = cython.typedef(cython.pointer(uint8_t))
RowNumbers = cython.typedef(cython.pointer(cython.const[int64_t]))
Durations = cython.typedef(cython.pointer(cython.const[uint64_t]))
Weights = cython.typedef(cython.pointer(cython.const[cython.double]))

MAX_BUCKETS = cython.declare(cython.int, 160)
MAX_SCALE = cython.declare(cython.int, 8)
FLOATS = cython.declare(cython.int, 3)
NOTHING_LOW = cython.declare(cython.int, 1 << 30)
NO_BUCKET = cython.declare(cython.int, -(1 << 30))  # of a duration of 0
MANTISSAS = cython.declare(cython.int, 512)  # starts of the search for a sub-bucket
CACHED = cython.declare(cython.Py_ssize_t, 1 << 20)  # more than that isn't in the processor's cache
KEPT_SCRATCH = cython.declare(cython.Py_ssize_t, 65_536)

# What the functions without the GIL return.
DONE = cython.declare(cython.int, 0)
NO_MEMORY = cython.declare(cython.int, 1)
NOT_SETTLED = cython.declare(cython.int, 2)  # a fault of this file: the block has no such bucket


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(-1.0)
def count_at(counters: Counters, width: cython.int, i: cython.int) -> cython.double:
    if width == 0:
        return counters[i]
    if width == 1:
        return cython.cast(cython.pointer(uint16_t), counters)[i]
    if width == 2:
        return cython.cast(cython.pointer(uint32_t), counters)[i]
    return cython.cast(cython.pointer(cython.double), counters)[i]


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(-1)
def put_count(
    counters: Counters, width: cython.int, i: cython.int, count: cython.double
) -> cython.int:
    if width == 0:
        counters[i] = cython.cast(uint8_t, count)
    elif width == 1:
        cython.cast(cython.pointer(uint16_t), counters)[i] = cython.cast(uint16_t, count)
    elif width == 2:
        cython.cast(cython.pointer(uint32_t), counters)[i] = cython.cast(uint32_t, count)
    else:
        cython.cast(cython.pointer(cython.double), counters)[i] = count
    return 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(-1)
def width_of(count: cython.double) -> cython.int:
    """The narrowest width that holds a count exactly."""
    if not (0.0 <= count <= 4294967295.0) or count != cython.cast(
        cython.double, cython.cast(uint32_t, count)
    ):
        return FLOATS
    if count <= 255.0:
        return 0
    return 1 if count <= 65535.0 else 2


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(-1)
def add_count(
    counters: Counters, width: cython.int, i: cython.int, weight: cython.double
) -> cython.int:
    """Add to a counter; returns the width that the sum needs, which is more where it didn't fit."""
    count: cython.double
    needed: cython.int
    if weight == 1.0:
        if width == 0 and counters[i] != 255:
            counters[i] += 1
            return 0
        if width == 1 and cython.cast(cython.pointer(uint16_t), counters)[i] != 65535:
            cython.cast(cython.pointer(uint16_t), counters)[i] += 1
            return 1
    count = count_at(counters, width, i) + weight
    needed = FLOATS if width == FLOATS else width_of(count)
    if needed > width:
        return needed
    put_count(counters, width, i, count)
    return width


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)  # a sum of pointers: nothing in it can raise
def classic_of(row: Block) -> Counters:
    return cython.cast(Counters, row) + cython.sizeof(Row)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(-1)
def classic_bytes(counters: cython.int, width: cython.int) -> cython.int:
    return ((counters << width) + 7) & ~7


@cython.final
@cython.cclass
class HistogramTable:
    """Histograms of durations in nanoseconds at rows 0 to capacity - 1.

    `bounds` is uint64 (b,), ascending: the upper bounds of the finest buckets. `mantissas` is
    float64 (256,): `native.MANTISSA_BOUNDS`. Not to be used by two threads at once.
    """

    _rows: Rows
    _capacity: cython.Py_ssize_t
    _bounds: cython.pointer(uint64_t)
    _bound_count: cython.int
    _counters: cython.int  # classic counters of a row: b + 1 buckets and zero
    _native: cython.bint
    _mantissas: cython.double[257]
    _first_mantissa: cython.int[512]
    _finest: cython.pointer(int32_t)  # scratch: the native bucket of each span at scale 8
    _finest_size: cython.Py_ssize_t
    _bytes: cython.Py_ssize_t
    _fetched: cython.int  # nobody reads it: so that the compiler can't leave out the reading

    def __cinit__(
        self,
        bounds: cython.const[uint64_t][::1],
        mantissas: cython.const[cython.double][::1],
        native: cython.bint,
    ) -> None:
        i: cython.int
        start: cython.int = 0
        if mantissas.shape[0] != 256 or bounds.shape[0] > 4096:
            raise ValueError("a histogram has at most 4,096 bounds, and 256 mantissas")
        self._bound_count = cython.cast(cython.int, bounds.shape[0])
        self._counters = self._bound_count + 2
        self._native = native
        self._bounds = cython.cast(
            cython.pointer(uint64_t), malloc((self._bound_count + 1) * cython.sizeof(uint64_t))
        )
        if self._bounds == cython.NULL:
            raise MemoryError
        for i in range(self._bound_count):
            self._bounds[i] = bounds[i]
        for i in range(256):
            self._mantissas[i] = mantissas[i]
        self._mantissas[256] = 1.0
        for i in range(512):
            while self._mantissas[start] < 0.5 + i / 1024.0:
                start += 1
            self._first_mantissa[i] = start

    def __dealloc__(self) -> None:
        i: cython.Py_ssize_t
        for i in range(self._capacity):
            free(self._rows[i])
        free(self._rows)
        free(self._bounds)
        free(self._finest)

    def grow(self, capacity: cython.Py_ssize_t) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        if capacity <= self._capacity:
            return
        rows = cython.cast(Rows, calloc(capacity, cython.sizeof(Block)))
        if rows == cython.NULL:
            raise MemoryError
        if self._capacity:
            memcpy(rows, self._rows, self._capacity * cython.sizeof(Block))
        free(self._rows)
        self._rows = rows
        self._capacity = capacity

    def reset_rows(self, rows: cython.const[int64_t][::1]) -> None:
        """Empty rows (m,) and free their blocks."""
        i: cython.Py_ssize_t
        self._check_rows(rows, self._capacity)
        with cython.nogil:
            for i in range(rows.shape[0]):
                if self._rows[rows[i]] != cython.NULL:
                    self._bytes -= self._size(self._rows[rows[i]])
                    free(self._rows[rows[i]])
                    self._rows[rows[i]] = cython.NULL

    def copy_rows(self, other: "HistogramTable", rows: cython.const[int64_t][::1]) -> None:
        """Make rows 0 to s - 1, which are empty, copies of `rows` (s,) of a table of its kind."""
        i: cython.Py_ssize_t
        block: Block
        size: cython.Py_ssize_t
        status: cython.int = DONE
        other._check_rows(rows, other._capacity)
        if rows.shape[0] > self._capacity or other._counters != self._counters:
            raise ValueError("the copy has no room, or another number of buckets")
        with cython.nogil:
            for i in range(rows.shape[0]):
                block = other._rows[rows[i]]
                if block == cython.NULL or self._rows[i] != cython.NULL:
                    continue
                size = cython.sizeof(Row) + classic_bytes(self._counters, block.classic_width)
                size += cython.cast(cython.Py_ssize_t, block.held) << block.native_width
                self._rows[i] = cython.cast(Block, malloc(size))
                if self._rows[i] == cython.NULL:
                    status = NO_MEMORY
                    break
                memcpy(self._rows[i], block, size)
                self._bytes += self._size(block)
        if status != DONE:
            raise MemoryError

    def nbytes(self) -> int:
        """The memory of all rows, with what malloc adds to a block, and of the pointers to them."""
        return self._bytes + self._capacity * cython.sizeof(Block)

    def observe(
        self,
        rows: cython.const[int64_t][::1],
        durations: cython.const[uint64_t][::1],
        weights: cython.const[cython.double][::1],
    ) -> None:
        """Count durations (n,) at rows (n,), each `weights` (n,) times."""
        self._check_rows(rows, self._capacity)
        self._observe(rows, durations, weights)

    def observe_spans(
        self,
        rows: cython.const[int64_t][::1],
        durations: cython.const[uint64_t][::1],
        weights: cython.const[cython.double][::1],
        *,
        sizes: cython.const[int64_t][::1],
        calls: cython.double[::1],
        size_sums: cython.double[::1],
    ) -> int:
        """The same, and add weights to `calls` and sizes * weights to `size_sums` by row.

        Returns how many weights are not 1.
        """
        i: cython.Py_ssize_t
        weighted: cython.Py_ssize_t = 0
        self._check_rows(rows, min(self._capacity, calls.shape[0], size_sums.shape[0]))
        if sizes.shape[0] != rows.shape[0]:
            raise ValueError("rows and sizes differ in length")
        self._observe(rows, durations, weights)
        with cython.nogil, cython.boundscheck(False):  # rows and lengths were checked
            for i in range(rows.shape[0]):
                weighted += weights[i] != 1.0
                calls[rows[i]] += weights[i]
                size_sums[rows[i]] += cython.cast(cython.double, sizes[i]) * weights[i]
        return weighted

    def native_begins(self, rows: cython.const[int64_t][::1], begins: int64_t[::1]) -> None:
        """Write where the native counts of each row begin, (s + 1,), one after another."""
        i: cython.Py_ssize_t
        row: Block
        end: int64_t = 0
        self._check_rows(rows, self._capacity)
        if begins.shape[0] != rows.shape[0] + 1:
            raise ValueError("results of another shape")
        begins[0] = 0
        with cython.nogil, cython.boundscheck(False):  # checked above
            for i in range(rows.shape[0]):
                row = self._rows[rows[i]]
                if row != cython.NULL and row.low <= row.high:
                    end += row.high - row.low + 1
                begins[i + 1] = end

    def read(
        self,
        rows: cython.const[int64_t][::1],
        *,
        sums: cython.double[::1],
        buckets: cython.double[:, ::1],
        zeros: cython.double[::1],
        schemas: int8_t[::1],
        firsts: int32_t[::1],
        begins: cython.const[int64_t][::1],
        counts: cython.double[::1],
    ) -> None:
        """Write what rows (s,) have counted.

        That is sums (s,), the finest buckets (s, b + 1) and zeros (s,); and the native form: scales
        (s,), first buckets (s,) as Prometheus numbers them, and from `begins` on their counts.
        """
        i: cython.Py_ssize_t
        j: cython.int
        k: cython.int
        last: cython.int = self._counters - 1
        row: Block
        self._check_rows(rows, self._capacity)
        if buckets.shape[1] != last:
            raise ValueError("another number of buckets")
        with cython.nogil:
            for i in range(rows.shape[0]):
                row = self._rows[rows[i]]
                sums[i] = zeros[i] = 0.0
                schemas[i] = MAX_SCALE
                firsts[i] = 0
                if row == cython.NULL:
                    buckets[i, :] = 0.0
                    continue
                sums[i] = row.total
                for j in range(last):
                    buckets[i, j] = count_at(classic_of(row), row.classic_width, j)
                zeros[i] = count_at(classic_of(row), row.classic_width, last)
                schemas[i] = row.scale
                if row.low > row.high:
                    continue
                firsts[i] = row.low + 1
                for j in range(row.high - row.low + 1):
                    k = row.low + j - row.first
                    counts[begins[i] + j] = (
                        count_at(self._native_of(row), row.native_width, k)
                        if 0 <= k < row.held
                        else 0.0
                    )

    def add(
        self,
        rows: cython.const[int64_t][::1],
        *,
        sums: cython.const[cython.double][::1],
        buckets: cython.const[cython.double][:, ::1],
        zeros: cython.const[cython.double][::1],
        schemas: cython.const[int8_t][::1],
        firsts: cython.const[int32_t][::1],
        begins: cython.const[int64_t][::1],
        counts: cython.const[cython.double][::1],
    ) -> None:
        """Add what `read` wrote, here or elsewhere, to rows (s,); a HistogramState checks it."""
        i: cython.Py_ssize_t
        j: cython.int
        status: cython.int
        last: cython.int = self._counters - 1
        self._check_rows(rows, self._capacity)
        if buckets.shape[1] != last:
            raise ValueError("another number of buckets")
        for i in range(rows.shape[0]):
            status = self._make(rows[i])
            if status == DONE:
                self._rows[rows[i]].total += sums[i]
            for j in range(last):
                status = status or self._add_classic(rows[i], j, buckets[i, j])
            status = status or self._add_classic(rows[i], last, zeros[i])
            if status == DONE and begins[i] < begins[i + 1]:
                status = self._add_range(
                    rows[i], schemas[i], firsts[i] - 1, counts[begins[i] : begins[i + 1]]
                )
            if status != DONE:
                raise MemoryError if status == NO_MEMORY else IndexError("a row was not settled")

    @cython.cfunc
    @cython.exceptval(-1)
    def _add_range(
        self,
        at: cython.Py_ssize_t,
        scale: cython.int,
        first: cython.int,
        counts: cython.const[cython.double][::1],
    ) -> cython.int:
        """Add buckets at the finest scale at which all of them have room."""
        row: Block = self._rows[at]
        status: cython.int = DONE
        coarser: cython.int = 0
        steps: cython.int
        i: cython.Py_ssize_t
        last: cython.int = first + cython.cast(cython.int, counts.shape[0]) - 1
        if scale > row.scale:
            coarser = scale - row.scale
        elif row.low > row.high:
            row.scale = scale
        elif row.scale > scale:
            status = self._lay_out(at, row.classic_width, 0, row.scale - scale)
            if status != DONE:
                return status
            row = self._rows[at]
        row.low = min(row.low, first >> coarser)
        row.high = max(row.high, last >> coarser)
        steps = row.scale
        status = self._settle(at)
        steps -= self._rows[at].scale
        for i in range(counts.shape[0]):
            if status == DONE:
                status = self._add_native(
                    at, ((first + cython.cast(cython.int, i)) >> coarser) >> steps, counts[i]
                )
        return status

    @cython.cfunc
    @cython.exceptval(-1)
    def _check_rows(
        self, rows: cython.const[int64_t][::1], capacity: cython.Py_ssize_t
    ) -> cython.int:
        i: cython.Py_ssize_t
        outside: cython.bint = False
        with cython.nogil, cython.boundscheck(False):  # the loop ends where the array does
            for i in range(rows.shape[0]):
                outside |= not 0 <= rows[i] < capacity
        if outside:
            raise IndexError("a row that the table doesn't have")
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def _observe(
        self,
        rows: cython.const[int64_t][::1],
        durations: cython.const[uint64_t][::1],
        weights: cython.const[cython.double][::1],
    ) -> cython.int:
        """Count durations at rows that were checked."""
        status: cython.int = DONE
        n: cython.Py_ssize_t = rows.shape[0]
        if durations.shape[0] != n or weights.shape[0] != n:
            raise ValueError("rows, durations and weights differ in length")
        if n == 0:
            return 0
        if self._native and n > self._finest_size:
            self._hold(n)
        with cython.nogil:
            if self._bytes > CACHED:
                self._fetch(n, cython.address(rows[0]))
            if self._native:
                status = self._widen(n, cython.address(rows[0]), cython.address(durations[0]))
            if status == DONE:
                status = self._count(
                    n,
                    cython.address(rows[0]),
                    cython.address(durations[0]),
                    cython.address(weights[0]),
                )
        if self._finest_size > KEPT_SCRATCH:
            self._hold(KEPT_SCRATCH)
        if status != DONE:
            raise MemoryError if status == NO_MEMORY else IndexError("a row was not settled")
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def _hold(self, size: cython.Py_ssize_t) -> cython.int:
        """Have scratch memory for so many spans."""
        free(self._finest)
        self._finest_size = 0
        self._finest = cython.cast(cython.pointer(int32_t), malloc(size * cython.sizeof(int32_t)))
        if self._finest == cython.NULL:
            raise MemoryError
        self._finest_size = size
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _fetch(self, n: cython.Py_ssize_t, rows: RowNumbers) -> cython.int:
        """Read a line of every block: so short a loop waits for many of them at a time."""
        i: cython.Py_ssize_t
        row: Block
        seen: cython.int = 0
        for i in range(n):
            row = self._rows[rows[i]]
            if row != cython.NULL:
                seen += row.held
        self._fetched = seen
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _widen(
        self,
        n: cython.Py_ssize_t,
        rows: RowNumbers,
        durations: Durations,
    ) -> cython.int:
        """Find the native buckets, and widen the ranges of the rows to them."""
        i: cython.Py_ssize_t
        row: Block
        bucket: cython.int
        for i in range(n):
            if durations[i] == 0:
                self._finest[i] = NO_BUCKET
                continue
            bucket = self._bucket_of(cython.cast(cython.double, durations[i]) / 1e9)
            self._finest[i] = bucket
            row = self._rows[rows[i]]
            if row == cython.NULL:
                if self._make(rows[i]) != DONE:
                    return NO_MEMORY
                row = self._rows[rows[i]]
            bucket >>= MAX_SCALE - row.scale
            row.low = min(row.low, bucket)
            row.high = max(row.high, bucket)
        return DONE

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _count(
        self,
        n: cython.Py_ssize_t,
        rows: RowNumbers,
        durations: Durations,
        weights: Weights,
    ) -> cython.int:
        """Add the durations to sums and counters."""
        i: cython.Py_ssize_t
        at: cython.Py_ssize_t
        row: Block
        weight: cython.double
        status: cython.int = DONE
        for i in range(n):
            at = rows[i]
            weight = weights[i]
            if self._rows[at] == cython.NULL:
                status = self._make(at)
            if status == DONE:
                status = self._settle(at)
            if status == DONE:
                row = self._rows[at]
                row.total += cython.cast(cython.double, durations[i]) * weight
                status = self._add_classic(at, self._finest_bucket(durations[i]), weight)
            if status == DONE and self._native:
                if self._finest[i] == NO_BUCKET:
                    status = self._add_classic(at, self._counters - 1, weight)
                else:
                    status = self._add_native(
                        at, self._finest[i] >> (MAX_SCALE - self._rows[at].scale), weight
                    )
            if status != DONE:
                return status
        return DONE

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-1)
    def _finest_bucket(self, duration: uint64_t) -> cython.int:
        """The number of bounds below a duration.

        It multiplies where others would branch: a wrong guess costs more than all the rest.
        """
        low: cython.int = 0
        size: cython.int = self._bound_count
        half: cython.int
        while size > 1:
            half = size >> 1
            low += half * (self._bounds[low + half - 1] < duration)
            size -= half
        return low + (size == 1 and self._bounds[low] < duration)

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-2147483647)
    def _bucket_of(self, seconds: cython.double) -> cython.int:
        """`native.bucket_index` of a normal, positive double, from its bits.

        Of the starts in `_first_mantissa`, one for each 512th of [0.5, 1), none is more than one
        sub-bucket from the right one.
        """
        bits: uint64_t = 0
        mantissa: cython.double = 0.0
        sub: cython.int
        exponent: cython.int
        memcpy(cython.address(bits), cython.address(seconds), 8)
        exponent = cython.cast(cython.int, bits >> 52) - 1022
        sub = self._first_mantissa[(bits >> 43) & 511]
        bits = (bits & ((cython.cast(uint64_t, 1) << 52) - 1)) | (cython.cast(uint64_t, 1022) << 52)
        memcpy(cython.address(mantissa), cython.address(bits), 8)
        while self._mantissas[sub] < mantissa:
            sub += 1
        return (exponent - 1) * 256 + sub - 1

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-1)
    def _add_classic(
        self, at: cython.Py_ssize_t, i: cython.int, weight: cython.double
    ) -> cython.int:
        row: Block = self._rows[at]
        needed: cython.int = add_count(classic_of(row), row.classic_width, i, weight)
        if needed <= row.classic_width:
            return DONE
        if self._lay_out(at, needed, row.native_width, 0) != DONE:
            return NO_MEMORY
        row = self._rows[at]
        add_count(classic_of(row), row.classic_width, i, weight)
        return DONE

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-1)
    def _add_native(
        self, at: cython.Py_ssize_t, bucket: cython.int, weight: cython.double
    ) -> cython.int:
        """Add to a bucket at the scale of a settled row."""
        row: Block = self._rows[at]
        i: cython.int = bucket - row.first
        needed: cython.int
        if not 0 <= i < row.held:
            return NOT_SETTLED
        needed = add_count(self._native_of(row), row.native_width, i, weight)
        if needed <= row.native_width:
            return DONE
        if self._lay_out(at, row.classic_width, needed, 0) != DONE:
            return NO_MEMORY
        row = self._rows[at]
        i = bucket - row.first
        if not 0 <= i < row.held:
            return NOT_SETTLED
        add_count(self._native_of(row), row.native_width, i, weight)
        return DONE

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(-1)
    def _settle(self, at: cython.Py_ssize_t) -> cython.int:
        """Make room for the range of a row."""
        row: Block = self._rows[at]
        # A block may hold some buckets more than a row may have.
        if (
            row.low >= row.first
            and row.high < row.first + row.held
            and row.high - row.low < MAX_BUCKETS
        ):
            return DONE
        return self._lay_out(at, row.classic_width, 0, 0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _make(self, at: cython.Py_ssize_t) -> cython.int:
        """Give a row a block where it has none."""
        row: Block
        if self._rows[at] != cython.NULL:
            return DONE
        row = cython.cast(Block, calloc(1, cython.sizeof(Row) + classic_bytes(self._counters, 0)))
        if row == cython.NULL:
            return NO_MEMORY
        row.low = NOTHING_LOW
        row.high = -NOTHING_LOW
        row.scale = MAX_SCALE
        self._rows[at] = row
        self._bytes += self._size(row)
        return DONE

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _lay_out(
        self,
        at: cython.Py_ssize_t,
        classic_width: cython.int,
        native_width: cython.int,
        steps: cython.int,
    ) -> cython.int:
        """Move a row to a block for its range, with counters at least so wide.

        Its scale is lowered by `steps`, and as often again as 160 buckets need. The range is held
        from a multiple of 8 to the next, so that it can grow a little.
        """
        old: Block = self._rows[at]
        head: Row = old[0]
        new: Block
        counts = cython.declare(cython.double[192])
        i: cython.int
        size: cython.int
        moved: cython.bint
        count: cython.double
        if old.low <= old.high:
            while (old.high >> steps) - (old.low >> steps) >= MAX_BUCKETS:
                steps += 1
            head.low >>= steps
            head.high >>= steps
            head.first = head.low & ~7
            head.held = (head.high | 7) + 1 - head.first
        head.scale -= steps
        moved = steps == 0 and native_width <= old.native_width
        if moved:
            native_width = old.native_width
        else:
            for i in range(head.held):
                counts[i] = 0.0
            for i in range(old.held):
                count = count_at(self._native_of(old), old.native_width, i)
                if count != 0.0:
                    counts[((old.first + i) >> steps) - head.first] += count
            for i in range(head.held):
                native_width = max(native_width, width_of(counts[i]))
        head.classic_width = classic_width
        head.native_width = native_width
        size = classic_bytes(self._counters, classic_width)
        new = cython.cast(
            Block,
            calloc(
                1, cython.sizeof(Row) + size + (cython.cast(cython.int, head.held) << native_width)
            ),
        )
        if new == cython.NULL:
            return NO_MEMORY
        new[0] = head
        if classic_width == old.classic_width:
            memcpy(classic_of(new), classic_of(old), size)
        else:
            for i in range(self._counters):
                count = count_at(classic_of(old), old.classic_width, i)
                put_count(classic_of(new), classic_width, i, count)
        if moved and old.held:
            memcpy(
                self._native_of(new) + ((old.first - head.first) << native_width),
                self._native_of(old),
                cython.cast(cython.int, old.held) << native_width,
            )
        elif not moved:
            for i in range(head.held):
                put_count(self._native_of(new), native_width, i, counts[i])
        self._bytes += self._size(new) - self._size(old)
        self._rows[at] = new
        free(old)
        return DONE

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)  # a sum of pointers: nothing in it can raise
    def _native_of(self, row: Block) -> Counters:
        return classic_of(row) + classic_bytes(self._counters, row.classic_width)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    def _size(self, row: Block) -> cython.int:
        """The memory of a block: malloc adds 8 bytes and rounds up to 16."""
        size: cython.int = cython.cast(cython.int, cython.sizeof(Row))
        size += classic_bytes(self._counters, row.classic_width)
        size += cython.cast(cython.int, row.held) << row.native_width
        return (size + 8 + 15) & ~15
