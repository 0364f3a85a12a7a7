"""Kernel: the series of one slice as sample lines or as protobuf messages.

What `lines.py`, `protobuf.py` and `protobuf_histograms.py` write, byte for byte; those say why a
thing stands where it stands. From top to bottom: a growing buffer and strings in a row, labels,
numbers as text, sample lines, protobuf fields, metrics. One file, since both forms share the
first half.

Labels are Python objects, so they are copied with the GIL held. All else runs without it: `write`
of each class gives about as many bytes as are asked for, of whole series. The classes compare the
shapes of all arrays when they take them, so that rows below the number of series are in bounds.
No function without the GIL raises but MemoryError, where it gives -1.
"""

# mypy knows no C: pyproject.toml leaves this module out.
import cython
from cython.cimports.cpython.bytes import (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cython.cimports.cpython.unicode import PyUnicode_AsUTF8AndSize
from cython.cimports.libc.math import INFINITY, floor, isinf, isnan, modf, rint, signbit
from cython.cimports.libc.stdint import int8_t, int32_t, int64_t, uint8_t, uint64_t
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memcpy

SOURCE_SHA256: str = ""

NUMBER_BYTES = cython.declare(cython.Py_ssize_t, 25)  # of the longest: -1.2345678901234567e-308
VARINT_BYTES = cython.declare(cython.Py_ssize_t, 10)
STAMP_BYTES = cython.declare(cython.Py_ssize_t, 24)
HARD_FROM = cython.declare(uint64_t, 10**15)  # nanoseconds: 16 digits may not be the shortest
WHOLE_BELOW = cython.declare(cython.double, 9007199254740992.0)  # 2^53
LARGEST_GAP = cython.declare(int64_t, 2)  # of empty buckets inside a span
ZERO_THRESHOLD = cython.declare(cython.double, 2.0**-128)

Buffer = cython.struct(data=cython.p_char, size=cython.Py_ssize_t, room=cython.Py_ssize_t)
"""Bytes that are appended to; `reserve` comes before what appends."""

Out = cython.typedef(cython.pointer(Buffer))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def reserve(out: Out, more: cython.Py_ssize_t) -> cython.int:
    room: cython.Py_ssize_t = out.size + more
    if room <= out.room:
        return 0
    room += room // 2
    data: cython.p_char = cython.cast(cython.p_char, realloc(out.data, room))
    if data == cython.NULL:
        with cython.gil:
            raise MemoryError
    out.data = data
    out.room = room
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put(out: Out, data: cython.p_const_char, size: cython.Py_ssize_t) -> cython.void:
    if size:  # of nothing there may be no pointer
        memcpy(out.data + out.size, data, size)
        out.size += size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_byte(out: Out, byte: uint8_t) -> cython.void:
    out.data[out.size] = cython.cast(cython.char, byte)
    out.size += 1


@cython.cfunc
def taken(out: Out) -> bytes:
    size: cython.Py_ssize_t = out.size
    out.size = 0
    return PyBytes_FromStringAndSize(out.data, size)


@cython.final
@cython.cclass
class Strings:
    """Byte strings in a row: the i-th ends before `ends[i]` of `text`; int64 (n,), ascending.

    With `places`, int64 (n,) ascending, only some places have one: a reader goes past them once,
    in order, and `next` is the first that it hasn't passed.
    """

    text: bytes
    data: cython.p_const_char
    ends: int64_t[::1]
    places: int64_t[::1]
    next: cython.Py_ssize_t

    def __init__(self, text: bytes, ends: int64_t[::1], places: int64_t[::1]):
        i: cython.Py_ssize_t
        if places.shape[0] and places.shape[0] != ends.shape[0]:
            raise ValueError("a place for each string")
        for i in range(ends.shape[0]):
            if not (ends[i - 1] if i else 0) <= ends[i] <= len(text):
                raise ValueError("strings follow each other")
        self.text, self.ends, self.places = text, ends, places
        self.data = PyBytes_AS_STRING(text)
        self.next = 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def begin(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        return self.ends[i - 1] if i else 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def put(self, out: Out, i: cython.Py_ssize_t) -> cython.void:
        begin: cython.Py_ssize_t = self.begin(i)
        put(out, self.data + begin, self.ends[i] - begin)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def size_at(self, place: int64_t) -> cython.Py_ssize_t:
        """The bytes of the next string if it stands at `place`, otherwise 0."""
        if self.next == self.places.shape[0] or self.places[self.next] != place:
            return 0
        return self.ends[self.next] - self.begin(self.next)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def size_before(self, place: int64_t) -> cython.Py_ssize_t:
        """The bytes of those from the next to `place`, without that."""
        i: cython.Py_ssize_t = self.next
        while i < self.places.shape[0] and self.places[i] < place:
            i += 1
        return self.begin(i) - self.begin(self.next)


# ---- Labels


def write_labels(
    heads: tuple, labels: list, overflow: bytes, ends: int64_t[::1], as_fields: cython.bint
) -> bytes:
    """The labels of each series in a row, `a="1",b="2"`, or as `label` fields.

    `labels` has a tuple of texts for each series, or None for `overflow`; `ends`, int64
    (series,), is filled. `heads` are what stands before each text: `a="`, or the field of the
    name.
    """
    if len(labels) != ends.shape[0]:
        raise ValueError("an end for each series")
    out: Buffer = Buffer(data=cython.NULL, size=0, room=0)
    i: cython.Py_ssize_t
    try:
        for i in range(len(labels)):
            if labels[i] is None:
                reserve(cython.address(out), len(overflow))
                put(cython.address(out), PyBytes_AS_STRING(overflow), len(overflow))
            else:
                _write_series_labels(cython.address(out), heads, labels[i], as_fields)
            ends[i] = out.size
        return taken(cython.address(out))
    finally:
        free(out.data)


@cython.cfunc
@cython.exceptval(-1)
def _write_series_labels(
    out: Out, heads: tuple, texts: tuple, as_fields: cython.bint
) -> cython.int:
    if len(texts) != len(heads):
        raise ValueError("a text for each label")
    first: cython.bint = True
    size: cython.Py_ssize_t = 0
    data: cython.p_const_char
    i: cython.Py_ssize_t
    for i in range(len(texts)):
        text: str = texts[i]
        if not text:
            continue
        head: bytes = heads[i]
        encoded: bytes = b""
        if text.isascii():
            data = PyUnicode_AsUTF8AndSize(text, cython.address(size))
        else:  # of other text the interpreter would keep the UTF-8
            encoded = text.encode()
            data, size = PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded)
        head_size: cython.Py_ssize_t = PyBytes_GET_SIZE(head)
        reserve(out, head_size + 2 * size + 2 + 2 * VARINT_BYTES)
        if as_fields:
            put_byte(out, 0x0A)  # label
            put_varint(out, head_size + 1 + varint_size(size) + size)
            put(out, PyBytes_AS_STRING(head), head_size)
            put_byte(out, 0x12)  # value
            put_varint(out, size)
            put(out, data, size)
        else:
            if not first:
                put_byte(out, 44)  # ,
            put(out, PyBytes_AS_STRING(head), head_size)
            put_escaped(out, data, size)
            put_byte(out, 34)  # "
        first = False
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_escaped(out: Out, data: cython.p_const_char, size: cython.Py_ssize_t) -> cython.void:
    i: cython.Py_ssize_t
    for i in range(size):
        byte: cython.char = data[i]
        if byte == 10:
            put(out, cython.cast(cython.p_const_char, b"\\n"), 2)
            continue
        if byte == 34 or byte == 92:  # noqa: PLR1714 - " or \, compared in C
            put_byte(out, 92)
        put_byte(out, cython.cast(uint8_t, byte))


# ---- Numbers as text


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def write_number(out: cython.p_char, value: cython.double) -> cython.int:
    """Write a number; returns the length of its text, or 0 where that takes more than division.

    Easy are whole numbers, and those with up to 9 decimals: a decimal of at most 15 digits is
    the shortest that reads back as its double, since no other of so few reads back as the same.
    """
    if isnan(value):
        memcpy(out, cython.cast(cython.p_const_char, b"NaN"), 3)
        return 3
    if isinf(value):
        memcpy(out, cython.cast(cython.p_const_char, b"-Inf" if value < 0 else b"+Inf"), 4)
        return 4
    size: cython.int = 0
    if signbit(value):
        if value == 0:
            memcpy(out, cython.cast(cython.p_const_char, b"-0.0"), 4)
            return 4
        out[0] = 45  # -
        size = 1
        value = -value
    if value < 1e16 and value == floor(value):
        return size + write_digits(out + size, cython.cast(uint64_t, value))
    if not 1e-4 <= value < 1e6:
        return 0
    nanos: uint64_t = cython.cast(uint64_t, rint(value * 1e9))
    if nanos >= HARD_FROM or cython.cast(cython.double, nanos) / 1e9 != value:
        return 0
    size += write_digits(out + size, nanos // 1_000_000_000)
    nanos %= 1_000_000_000
    decimals: cython.int = 9
    while nanos % 10 == 0:
        nanos //= 10
        decimals -= 1
    out[size] = 46  # .
    i: cython.int
    for i in range(decimals, 0, -1):
        out[size + i] = cython.cast(cython.char, 48 + nanos % 10)
        nanos //= 10
    return size + 1 + decimals


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def write_digits(out: cython.p_char, number: uint64_t) -> cython.int:
    size: cython.int = 1
    rest: uint64_t = number // 10
    while rest:
        rest //= 10
        size += 1
    i: cython.int
    for i in range(size - 1, -1, -1):
        out[i] = cython.cast(cython.char, 48 + number % 10)
        number //= 10
    return size


def hard_numbers(values: cython.double[:, ::1]) -> list:
    """The numbers among `values` whose text is left to the interpreter, in their order."""
    scratch = cython.declare(cython.char[32])
    found: list = []
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    for i in range(values.shape[0]):
        for k in range(values.shape[1]):
            if write_number(scratch, values[i, k]) == 0:
                found.append(values[i, k])
    return found


# ---- Sample lines


@cython.final
@cython.cclass
class SampleLines:
    """All lines of each series; `values` is float64 (series, lines).

    `frames` has three strings for each line: its name up to the labels, what comes between them
    and the value, and what stands there if the series has no labels. `optional`, uint8 (lines,),
    is 1 where a line is left out if its value is NaN. `hard` are the texts of `hard_numbers`;
    `suffixes` stand behind values, at series * lines + line.
    """

    labels: Strings
    frames: Strings
    hard: Strings
    suffixes: Strings
    values: cython.double[:, ::1]
    optional: uint8_t[::1]
    series: cython.Py_ssize_t
    frame_bytes: cython.Py_ssize_t
    out: Buffer

    def __dealloc__(self):
        free(self.out.data)

    def __init__(
        self,
        labels: Strings,
        frames: Strings,
        optional: uint8_t[::1],
        values: cython.double[:, ::1],
        hard: Strings,
        suffixes: Strings,
    ):
        lines: cython.Py_ssize_t = values.shape[1]
        if labels.ends.shape[0] != values.shape[0]:
            raise ValueError("labels for each series")
        if optional.shape[0] != lines or frames.ends.shape[0] != 3 * lines:
            raise ValueError("a frame for each line")
        if hard.ends.shape[0] != len(hard_numbers(values)):
            raise ValueError("a text for each hard number")
        self.labels, self.frames, self.optional = labels, frames, optional
        self.values, self.hard, self.suffixes = values, hard, suffixes
        self.series, self.frame_bytes = 0, len(frames.text)

    def write(self, size: cython.Py_ssize_t) -> bytes:
        """The next series, until there are at least `size` bytes; empty after the last."""
        with cython.nogil:
            while self.series < self.values.shape[0] and self.out.size < size:
                self._write_series(cython.address(self.out), self.series)
                self.series += 1
        return taken(cython.address(self.out))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    @cython.boundscheck(False)
    def _write_series(self, out: Out, series: cython.Py_ssize_t) -> cython.int:
        lines: cython.Py_ssize_t = self.values.shape[1]
        first: int64_t = series * lines
        size: cython.Py_ssize_t = self.labels.ends[series] - self.labels.begin(series)
        more: cython.Py_ssize_t = self.suffixes.size_before(first + lines)
        reserve(out, self.frame_bytes + lines * (size + NUMBER_BYTES + 1) + more)
        i: cython.Py_ssize_t
        for i in range(lines):
            value: cython.double = self.values[series, i]
            has_suffix: cython.bint = more and self.suffixes.size_at(first + i) > 0
            if self.optional[i] and isnan(value):
                self.suffixes.next += has_suffix
                continue
            if size:
                self.frames.put(out, 3 * i)
                self.labels.put(out, series)
                self.frames.put(out, 3 * i + 1)
            else:
                self.frames.put(out, 3 * i + 2)
            written: cython.int = write_number(out.data + out.size, value)
            out.size += written
            if not written:
                self.hard.put(out, self.hard.next)
                self.hard.next += 1
            if has_suffix:
                self.suffixes.put(out, self.suffixes.next)
                self.suffixes.next += 1
            put_byte(out, 10)
        return 0


# ---- Protobuf fields


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_varint(out: Out, number: uint64_t) -> cython.void:
    while number > 127:
        put_byte(out, cython.cast(uint8_t, (number & 127) | 128))
        number >>= 7
    put_byte(out, cython.cast(uint8_t, number))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def varint_size(number: uint64_t) -> cython.Py_ssize_t:
    size: cython.Py_ssize_t = 1
    while number > 127:
        number >>= 7
        size += 1
    return size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def zigzag(number: int64_t) -> uint64_t:
    return (cython.cast(uint64_t, number) << 1) ^ cython.cast(uint64_t, number >> 63)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_double(out: Out, key: uint8_t, number: cython.double) -> cython.void:
    put_byte(out, key)
    put(out, cython.cast(cython.p_const_char, cython.address(number)), 8)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_count(
    out: Out, key: uint8_t, float_key: uint8_t, count: cython.double, whole: cython.bint
) -> cython.void:
    """A count as a whole number, or as it is where not all numbers of a histogram are whole."""
    if whole:
        put_byte(out, key)
        put_varint(out, cython.cast(uint64_t, count))
    else:
        put_double(out, float_key, count)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_stamp(out: Out, key: uint8_t, seconds: cython.double) -> cython.void:
    """A `Timestamp` field; nothing where the moment is NaN."""
    if isnan(seconds):
        return
    whole: cython.double = 0
    nanos: uint64_t = cython.cast(uint64_t, rint(modf(seconds, cython.address(whole)) * 1e9))
    second: uint64_t = cython.cast(uint64_t, whole) + nanos // 1_000_000_000
    nanos %= 1_000_000_000
    put_byte(out, key)
    put_varint(out, 2 + varint_size(second) + varint_size(nanos))
    put_byte(out, 0x08)  # seconds
    put_varint(out, second)
    put_byte(out, 0x10)  # nanos
    put_varint(out, nanos)


# ---- Metrics


@cython.final
@cython.cclass
class Metrics:
    """A `metric` field for each series, its value in field `key`.

    Numbers: `values` is float64 (series, 1), `bounds` and `sums` are empty; those of a counter
    are `stamped`, and have exemplars as fields at the position of their series.

    Histograms: `values` is float64 (series, bounds + 1), cumulative; `sums` and `created` are
    float64 (series,). The arrays of a `PackedNative` follow, empty where there is none.
    Exemplars stand at series * (bounds + 2) + bucket as fields of the bucket, and as fields of
    the native form behind the last bucket.
    """

    labels: Strings
    exemplars: Strings
    key: uint8_t
    stamped: cython.bint
    values: cython.double[:, ::1]
    created: cython.double[::1]
    bounds: cython.double[::1]
    sums: cython.double[::1]
    schemas: int8_t[::1]
    zero_counts: cython.double[::1]
    firsts: int32_t[::1]
    begins: int64_t[::1]
    counts: cython.double[::1]
    series: cython.Py_ssize_t
    out: Buffer
    content: Buffer
    packed: Buffer

    def __dealloc__(self):
        free(self.out.data)
        free(self.content.data)
        free(self.packed.data)

    def __init__(
        self,
        key: uint8_t,
        stamped: cython.bint,
        labels: Strings,
        exemplars: Strings,
        values: cython.double[:, ::1],
        created: cython.double[::1],
        bounds: cython.double[::1],
        sums: cython.double[::1],
        schemas: int8_t[::1],
        zero_counts: cython.double[::1],
        firsts: int32_t[::1],
        begins: int64_t[::1],
        counts: cython.double[::1],
    ):
        series: cython.Py_ssize_t = values.shape[0]
        if labels.ends.shape[0] != series or created.shape[0] != series:
            raise ValueError("labels and a created stamp for each series")
        if values.shape[1] != bounds.shape[0] + 1 or sums.shape[0] not in (0, series):
            raise ValueError("a count for each bucket, a sum for each series")
        if begins.shape[0]:
            if not schemas.shape[0] == zero_counts.shape[0] == firsts.shape[0] == series:
                raise ValueError("a native histogram for each series")
            if begins.shape[0] != series + 1 or begins[0] < 0 or begins[series] > counts.shape[0]:
                raise ValueError("the native counts of each series")
            i: cython.Py_ssize_t
            for i in range(series):
                if begins[i] > begins[i + 1]:
                    raise ValueError("the native counts of series follow each other")
        self.key, self.stamped, self.labels, self.exemplars = key, stamped, labels, exemplars
        self.values, self.created, self.bounds, self.sums = values, created, bounds, sums
        self.schemas, self.zero_counts, self.firsts = schemas, zero_counts, firsts
        self.begins, self.counts = begins, counts
        self.series = 0

    def write(self, size: cython.Py_ssize_t) -> bytes:
        """The next series, until there are at least `size` bytes; empty after the last."""
        with cython.nogil:
            while self.series < self.values.shape[0] and self.out.size < size:
                self._write_series(cython.address(self.out), self.series)
                self.series += 1
        return taken(cython.address(self.out))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    @cython.boundscheck(False)
    def _write_series(self, out: Out, series: cython.Py_ssize_t) -> cython.int:
        content: Out = cython.address(self.content)
        content.size = 0
        if self.sums.shape[0]:
            self._put_histogram(content, series)
        else:
            reserve(content, 9 + STAMP_BYTES + self.exemplars.size_before(series + 1))
            put_double(content, 0x09, self.values[series, 0])  # value
            if self.stamped:
                put_stamp(content, 0x1A, self.created[series])
                self._put_exemplar(content, series)
        labels: cython.Py_ssize_t = self.labels.ends[series] - self.labels.begin(series)
        size: cython.Py_ssize_t = labels + 1 + varint_size(content.size) + content.size
        reserve(out, 1 + VARINT_BYTES + size)
        put_byte(out, 0x22)  # metric
        put_varint(out, size)
        self.labels.put(out, series)
        put_byte(out, self.key)
        put_varint(out, content.size)
        put(out, content.data, content.size)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _put_exemplar(self, out: Out, place: int64_t) -> cython.void:
        if self.exemplars.size_at(place):
            self.exemplars.put(out, self.exemplars.next)
            self.exemplars.next += 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    @cython.boundscheck(False)
    def _put_histogram(self, out: Out, series: cython.Py_ssize_t) -> cython.int:
        bounds: cython.Py_ssize_t = self.bounds.shape[0]
        place: int64_t = series * (bounds + 2)
        whole: cython.bint = self._is_whole(series)
        # Of a bucket: its key and length, a count of 10 bytes, a bound of 9.
        buckets: cython.Py_ssize_t = (bounds + 1) * (2 * VARINT_BYTES + 2 + 9)
        more: cython.Py_ssize_t = self.exemplars.size_before(place + bounds + 2)
        reserve(out, 1 + VARINT_BYTES + 9 + buckets + STAMP_BYTES + more)
        put_count(out, 0x08, 0x21, self.values[series, bounds], whole)  # sample_count
        put_double(out, 0x11, self.sums[series])  # sample_sum
        i: cython.Py_ssize_t
        for i in range(bounds + 1):
            count: cython.double = self.values[series, i]
            size: cython.Py_ssize_t = self.exemplars.size_at(place + i) if more else 0
            if i == bounds and not size:
                break  # the bucket of +Inf is the count
            put_byte(out, 0x1A)  # bucket
            size += varint_size(cython.cast(uint64_t, count)) if whole else 8
            put_varint(out, 1 + 9 + size)
            put_count(out, 0x08, 0x21, count, whole)  # cumulative_count
            put_double(out, 0x11, self.bounds[i] if i < bounds else INFINITY)  # upper_bound
            self._put_exemplar(out, place + i)
        put_stamp(out, 0x7A, self.created[series])
        if self.begins.shape[0]:
            self._put_native(out, series, whole, more)
            self._put_exemplar(out, place + bounds + 1)
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    @cython.boundscheck(False)
    def _is_whole(self, series: cython.Py_ssize_t) -> cython.bint:
        """Whether all counts of a series are whole numbers, small enough to be exact."""
        i: int64_t
        for i in range(self.values.shape[1]):
            if not is_whole(self.values[series, i]):
                return False
        if not self.begins.shape[0]:
            return True
        if not is_whole(self.zero_counts[series]):
            return False
        for i in range(self.begins[series], self.begins[series + 1]):
            if not is_whole(self.counts[i]):
                return False
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1)
    @cython.boundscheck(False)
    def _put_native(
        self, out: Out, series: cython.Py_ssize_t, whole: cython.bint, more: cython.Py_ssize_t
    ) -> cython.int:
        packed: Out = cython.address(self.packed)
        packed.size = 0
        begin: int64_t = self.begins[series]
        end: int64_t = self.begins[series + 1]
        # A span takes at most 33 bytes, and 4 counts lie between the begins of two.
        reserve(packed, (end - begin) * VARINT_BYTES)
        reserve(out, 64 + (end - begin + 4) * (9 + VARINT_BYTES) + more)
        put_byte(out, 0x28)  # schema
        put_varint(out, zigzag(self.schemas[series]))
        put_double(out, 0x31, ZERO_THRESHOLD)  # zero_threshold
        put_count(out, 0x38, 0x41, self.zero_counts[series], whole)  # zero_count
        offset: int64_t = self.firsts[series]
        span: int64_t = -1  # where it begins
        until: int64_t = begin  # where it ends
        count: int64_t = 0
        i: int64_t
        for i in range(begin, end):
            if self.counts[i] == 0:
                continue
            if span < 0 or i - until > LARGEST_GAP:
                if span >= 0:
                    put_span(out, offset, until - span)
                    offset = 0
                offset += i - until
                span = until = i
            while until <= i:
                if whole:
                    put_varint(packed, zigzag(cython.cast(int64_t, self.counts[until]) - count))
                    count = cython.cast(int64_t, self.counts[until])
                else:
                    put(
                        packed,
                        cython.cast(cython.p_const_char, cython.address(self.counts[until])),
                        8,
                    )
                until += 1
        if span >= 0:
            put_span(out, offset, until - span)
        put_byte(out, 0x6A if whole else 0x72)  # positive_delta, positive_count
        put_varint(out, packed.size)
        put(out, packed.data, packed.size)
        return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_span(out: Out, offset: int64_t, length: int64_t) -> cython.void:
    put_byte(out, 0x62)  # positive_span
    put_varint(out, 2 + varint_size(zigzag(offset)) + varint_size(cython.cast(uint64_t, length)))
    put_byte(out, 0x08)  # offset
    put_varint(out, zigzag(offset))
    put_byte(out, 0x10)  # length
    put_varint(out, cython.cast(uint64_t, length))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_whole(count: cython.double) -> cython.bint:
    return count == rint(count) and 0 <= count < WHOLE_BELOW
