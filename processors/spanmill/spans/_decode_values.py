"""Kernel: the values that a walk has found to codes, and the rows to groups.

Input is where each row's values stand in the body (spans/_decode.py writes that down); a value
is known by its bytes. Hashing is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
short-input PRF", 2012) with a key of the process, so nobody outside can choose values that
collide; groups are found by a multilinear hash of those hashes, with factors as secret.

Functions that run without the GIL raise no Python errors, so none can swallow one; every place
is compared with the size of the body before it is looked at.
"""

import cython
from cython.cimports.cpython.bytearray import (
    PyByteArray_AS_STRING,
    PyByteArray_FromStringAndSize,
)
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memcmp, memcpy

SOURCE_SHA256: str = ""

Bytes = cython.typedef(cython.pointer(uint8_t))

RESOURCE = cython.declare(cython.int, 0)
NAME = cython.declare(cython.int, 2)
FIRST_ATTRIBUTE = cython.declare(cython.int, 3)

ABSENT_PLACE = cython.declare(int64_t, 0xFFFFFFFF)

OK = cython.declare(cython.int, 0)
NO_MEMORY = cython.declare(cython.int, 1)
OUTSIDE = cython.declare(cython.int, 2)

Key = cython.struct(v0=uint64_t, v1=uint64_t, v2=uint64_t, v3=uint64_t)

# A distinct value of a column: where it stands first, and its hash under both keys.
Value = cython.struct(low=uint64_t, high=uint64_t, offset=uint32_t, length=uint32_t)

# The distinct values of a column in the order of their codes, and a table by hash of code + 1.
Dictionary = cython.struct(
    values=cython.pointer(Value),
    slots=cython.pointer(int32_t),
    room=cython.int,  # slots are twice as many
    count=cython.int,
    last=cython.int,  # the code given last
)

Group = cython.struct(hash=uint64_t, first=int64_t, count=int64_t, low=uint64_t, high=uint64_t)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def load64(at: Bytes) -> uint64_t:
    """Eight bytes, little-endian, which the caller knows to be there."""
    word = cython.declare(uint64_t)
    memcpy(cython.address(word), at, 8)
    return word


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def rotated(word: uint64_t, by: cython.int) -> uint64_t:
    """Rotated to the left."""
    return (word << by) | (word >> (64 - by))


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def sip_round(v: cython.pointer(uint64_t)) -> cython.void:
    """SipRound."""
    v[0] += v[1]
    v[2] += v[3]
    v[1] = rotated(v[1], 13) ^ v[0]
    v[3] = rotated(v[3], 16) ^ v[2]
    v[0] = rotated(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = rotated(v[1], 17) ^ v[2]
    v[3] = rotated(v[3], 21) ^ v[0]
    v[2] = rotated(v[2], 32)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def siphash(key: cython.pointer(Key), at: Bytes, length: int64_t) -> uint64_t:
    """SipHash-1-3 of these bytes."""
    v = cython.declare(uint64_t[4])
    word: uint64_t
    i: int64_t = 0
    v[0] = key.v0
    v[1] = key.v1
    v[2] = key.v2
    v[3] = key.v3
    while i + 8 <= length:
        word = load64(at + i)
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
        i += 8
    word = cython.cast(uint64_t, length) << 56
    rest: int64_t = length - i
    if rest:
        if length >= 8:
            word |= load64(at + length - 8) >> (8 * (8 - rest))
        else:
            while i < length:
                word |= cython.cast(uint64_t, at[i]) << (8 * i)
                i += 1
    v[3] ^= word
    sip_round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    sip_round(v)
    sip_round(v)
    sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def grow(d: cython.pointer(Dictionary)) -> cython.bint:
    """Make room for twice as many values; False without memory, and nothing has changed."""
    room: cython.int = 2 * d.room if d.room else 32
    slots = cython.cast(cython.pointer(int32_t), calloc(2 * room, cython.sizeof(int32_t)))
    if slots == cython.NULL:
        return False
    values = cython.cast(cython.pointer(Value), realloc(d.values, room * cython.sizeof(Value)))
    if values == cython.NULL:
        free(slots)
        return False
    mask: uint64_t = 2 * room - 1
    code: cython.int
    for code in range(d.count):
        slot: uint64_t = values[code].low & mask
        while slots[slot]:
            slot = (slot + 1) & mask
        slots[slot] = code + 1
    free(d.slots)
    d.slots = slots
    d.values = values
    d.room = room
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def code_of(
    d: cython.pointer(Dictionary),
    keys: cython.pointer(Key),
    body: Bytes,
    at: Bytes,
    length: int64_t,
) -> cython.int:
    """The code of these bytes of the body, a new one if they are new; -1 without memory."""
    value: cython.pointer(Value)
    if d.count:
        value = d.values + d.last
        if value.length == length and memcmp(body + value.offset, at, length) == 0:
            return d.last
    low: uint64_t = siphash(keys, at, length)
    mask: uint64_t = 2 * d.room - 1
    slot: uint64_t = low & mask
    if d.room:
        while d.slots[slot]:
            value = d.values + (d.slots[slot] - 1)
            if value.low == low and value.length == length:
                if memcmp(body + value.offset, at, length) == 0:
                    d.last = d.slots[slot] - 1
                    return d.last
            slot = (slot + 1) & mask
    if d.count == d.room:
        if not grow(d):
            return -1
        mask = 2 * d.room - 1
        slot = low & mask
        while d.slots[slot]:
            slot = (slot + 1) & mask
    value = d.values + d.count
    value.low = low
    value.high = siphash(keys + 1, at, length)
    value.offset = cython.cast(uint32_t, at - body)
    value.length = cython.cast(uint32_t, length)
    d.last = d.count
    d.count += 1
    d.slots[slot] = d.count
    return d.last


@cython.cfunc
def new_key(key: cython.pointer(Key), secret: bytes) -> cython.void:
    """SipHash's first state by its key of 16 bytes."""
    low = int.from_bytes(secret[:8], "little")
    high = int.from_bytes(secret[8:16], "little")
    key.v0 = low ^ 0x736F6D6570736575
    key.v1 = high ^ 0x646F72616E646F6D
    key.v2 = low ^ 0x6C7967656E657261
    key.v3 = high ^ 0x7465646279746573


@cython.final
@cython.cclass
class ValueCoder:
    """What all codings of a decoder share; nothing of it changes once it is made.

    `attributes` is how many attribute columns there are, after resource, scope and name;
    `group_by` are indices into them. `hash_key` has 32 bytes.
    """

    columns: cython.int
    grouped: cython.int
    group_columns: cython.pointer(cython.int)
    factors: cython.pointer(uint64_t)  # for kind and status, then for each grouped column
    keys: Key[2]

    def __cinit__(self, attributes: cython.int, group_by: tuple, hash_key: bytes) -> None:
        i: cython.int
        number: uint64_t
        self.columns = FIRST_ATTRIBUTE + attributes
        self.grouped = 2 + len(group_by)
        self.group_columns = cython.cast(
            cython.p_int, calloc(self.grouped, cython.sizeof(cython.int))
        )
        self.factors = cython.cast(
            cython.pointer(uint64_t), calloc(self.grouped + 1, cython.sizeof(uint64_t))
        )
        if not (self.group_columns and self.factors):
            raise MemoryError
        if len(hash_key) != 32 or not all(0 <= column < attributes for column in group_by):
            raise ValueError("a key of 32 bytes, and indices of attributes")
        new_key(cython.address(self.keys[0]), hash_key[:16])
        new_key(cython.address(self.keys[1]), hash_key[16:])
        self.group_columns[0] = RESOURCE
        self.group_columns[1] = NAME
        for i in range(2, self.grouped):
            self.group_columns[i] = FIRST_ATTRIBUTE + group_by[i - 2]
        for i in range(self.grouped + 1):
            number = i
            self.factors[i] = 1 | siphash(self.keys, cython.cast(Bytes, cython.address(number)), 8)

    def __dealloc__(self) -> None:
        free(self.group_columns)
        free(self.factors)

    def code(
        self,
        body: bytes,
        places: bytearray,
        codes: cython.int[:, ::1],
        kind: cython.uchar[::1],
        status: cython.uchar[::1],
    ) -> object:
        """Fill the codes of the rows, and find the distinct values and the groups.

        `places` holds, for each column but that of groups, two 32-bit numbers a row: offset and
        length of the value in the body; an offset of 2^32 - 1 is no value. `codes` has a line
        for each of the columns, and one more, which gets the groups; `kind` and `status` are as
        long. The lines may be longer than there are rows: n is the length of `kind`.

        Gives how many values each column has; where they stand (two numbers each, as above);
        and the groups: how many there are, their first rows, their counts, and their identities
        (64, 64 and 2 x 64 bits each). Raises IndexError
        where a place is outside of the body.
        """
        room: int64_t = codes.shape[1]
        rows: int64_t = kind.shape[0]
        if (
            codes.shape[0] != self.columns + 1
            or len(places) < 8 * room * self.columns
            or not rows <= room
            or status.shape[0] != rows
        ):
            raise ValueError("the columns are not of one length")
        if rows == 0:
            return ([0] * self.columns, bytearray(), 0, bytearray())
        coding: Coding = Coding(self, body, room, rows)
        coding.places = cython.cast(cython.pointer(uint32_t), PyByteArray_AS_STRING(places))
        coding.codes = cython.cast(cython.pointer(int32_t), cython.address(codes[0, 0]))
        coding.kind = cython.cast(Bytes, cython.address(kind[0]))
        coding.status = cython.cast(Bytes, cython.address(status[0]))
        outcome: cython.int
        column: cython.int
        with cython.nogil:
            outcome = OK
            for column in range(self.columns):
                outcome = coding.code_column(column)
                if outcome:
                    break
            if outcome == OK:
                outcome = coding.find_groups()
        if outcome == NO_MEMORY:
            raise MemoryError
        if outcome == OUTSIDE:
            raise IndexError("a value is outside of the request")
        return coding.found()


@cython.final
@cython.cclass
class Coding:
    """The coding of one request; what it has malloc'd goes with it."""

    coder: ValueCoder
    held: bytes
    body: Bytes
    size: int64_t
    room: int64_t
    rows: int64_t
    places: cython.pointer(uint32_t)
    codes: cython.pointer(int32_t)
    kind: Bytes
    status: Bytes
    dictionaries: cython.pointer(Dictionary)
    groups: cython.pointer(Group)
    group_slots: cython.pointer(int32_t)
    group_room: int64_t
    group_count: int64_t
    words: cython.pointer(uint64_t)

    def __cinit__(self, coder: ValueCoder, body: bytes, room: int64_t, rows: int64_t) -> None:
        self.coder = coder
        self.held = body
        self.body = cython.cast(Bytes, PyBytes_AS_STRING(body))
        self.size = PyBytes_GET_SIZE(body)
        self.room = room
        self.rows = rows
        self.dictionaries = cython.cast(
            cython.pointer(Dictionary), calloc(coder.columns, cython.sizeof(Dictionary))
        )
        self.words = cython.cast(
            cython.pointer(uint64_t), calloc(coder.grouped + 1, cython.sizeof(uint64_t))
        )
        if not (self.dictionaries and self.words):
            raise MemoryError

    def __dealloc__(self) -> None:
        i: cython.int
        if self.dictionaries:
            for i in range(self.coder.columns):
                free(self.dictionaries[i].values)
                free(self.dictionaries[i].slots)
        free(self.dictionaries)
        free(self.groups)
        free(self.group_slots)
        free(self.words)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def code_column(self, column: cython.int) -> cython.int:
        """Give each row of a column the code of its value."""
        place: cython.pointer(uint32_t) = self.places + 2 * column * self.room
        codes: cython.pointer(int32_t) = self.codes + column * self.room
        offset: int64_t
        length: int64_t
        before: int64_t = -1  # the place of the row before: resources and scopes stay the same
        length_before: int64_t = -1
        code: cython.int = -1
        row: int64_t
        for row in range(self.rows):
            offset = place[2 * row]
            length = place[2 * row + 1]
            if offset == ABSENT_PLACE:
                codes[row] = -1
                continue
            if offset != before or length != length_before:
                if offset + length > self.size:
                    return OUTSIDE
                code = code_of(
                    self.dictionaries + column,
                    self.coder.keys,
                    self.body,
                    self.body + offset,
                    length,
                )
                if code < 0:
                    return NO_MEMORY
                before = offset
                length_before = length
                length_before = length
            codes[row] = code
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def find_groups(self) -> cython.int:
        """Number the groups by their first rows, and give each its identity."""
        codes: cython.pointer(int32_t) = self.codes
        n: int64_t = self.room
        group_codes: cython.pointer(int32_t) = codes + (self.coder.columns) * n
        row: int64_t
        i: cython.int
        code: cython.int
        if not self.grow_groups():
            return NO_MEMORY
        for row in range(self.rows):
            word: uint64_t = cython.cast(uint64_t, self.kind[row]) << 8 | self.status[row]
            # Multilinear: the hashes are keyed, and so are the factors.
            hashed: uint64_t = self.coder.factors[0] * (word + 1)
            for i in range(self.coder.grouped):
                code = codes[self.coder.group_columns[i] * n + row]
                if code >= 0:
                    word = self.dictionaries[self.coder.group_columns[i]].values[code].low
                    hashed += self.coder.factors[i + 1] * word
            hashed ^= hashed >> 32
            slot: uint64_t = hashed & (2 * self.group_room - 1)
            while self.group_slots[slot] and not self.is_in(
                self.group_slots[slot] - 1, row, hashed
            ):
                slot = (slot + 1) & (2 * self.group_room - 1)
            if self.group_slots[slot] == 0:
                if self.group_count == self.group_room:
                    if not self.grow_groups():
                        return NO_MEMORY
                    slot = hashed & (2 * self.group_room - 1)
                    while self.group_slots[slot]:
                        slot = (slot + 1) & (2 * self.group_room - 1)
                self.add_group(row, hashed)
                self.group_slots[slot] = cython.cast(int32_t, self.group_count)
            group_codes[row] = self.group_slots[slot] - 1
            self.groups[group_codes[row]].count += 1
        return OK

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)
    def is_in(self, group: int32_t, row: int64_t, hashed: uint64_t) -> cython.bint:
        """Whether a row belongs to this group."""
        i: cython.int
        first: int64_t = self.groups[group].first
        if self.groups[group].hash != hashed:
            return False
        if self.kind[row] != self.kind[first] or self.status[row] != self.status[first]:
            return False
        for i in range(self.coder.grouped):
            codes: cython.pointer(int32_t) = self.codes + self.coder.group_columns[i] * self.room
            if codes[row] != codes[first]:
                return False
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def grow_groups(self) -> cython.bint:
        """Make room for twice as many groups; False without memory."""
        room: int64_t = 2 * self.group_room if self.group_room else 32
        slots = cython.cast(cython.pointer(int32_t), calloc(2 * room, cython.sizeof(int32_t)))
        if slots == cython.NULL:
            return False
        groups = cython.cast(
            cython.pointer(Group), realloc(self.groups, room * cython.sizeof(Group))
        )
        if groups == cython.NULL:
            free(slots)
            return False
        number: int64_t
        for number in range(self.group_count):
            slot: uint64_t = groups[number].hash & (2 * room - 1)
            while slots[slot]:
                slot = (slot + 1) & (2 * room - 1)
            slots[slot] = cython.cast(int32_t, number + 1)
        free(self.group_slots)
        self.group_slots = slots
        self.groups = groups
        self.group_room = room
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add_group(self, row: int64_t, hashed: uint64_t) -> cython.void:
        """Begin a group; its identity is a hash, under either key, of the hashes of its values."""
        half: cython.int
        i: cython.int
        identity = cython.declare(uint64_t[2])
        value: cython.pointer(Value)
        words: cython.pointer(uint64_t) = self.words
        for half in range(2):
            words[0] = cython.cast(uint64_t, self.kind[row]) << 8 | self.status[row]
            for i in range(self.coder.grouped):
                column: cython.int = self.coder.group_columns[i]
                code: int32_t = self.codes[column * self.room + row]
                words[i + 1] = 0
                if code >= 0:
                    value = self.dictionaries[column].values + code
                    words[i + 1] = value.high if half else value.low
            identity[half] = siphash(
                self.coder.keys + half,
                cython.cast(Bytes, words),
                8 * (self.coder.grouped + 1),
            )
        group: cython.pointer(Group) = self.groups + self.group_count
        group.hash = hashed
        group.first = row
        group.count = 0
        group.low = identity[0]
        group.high = identity[1]
        self.group_count += 1

    @cython.cfunc
    def found(self) -> tuple:
        """What `ValueCoder.code` gives."""
        i: cython.int
        code: cython.int
        counts: list = []
        values: int64_t = 0
        for i in range(self.coder.columns):
            counts.append(self.dictionaries[i].count)
            values += self.dictionaries[i].count
        places = PyByteArray_FromStringAndSize(cython.NULL, 8 * values)
        place = cython.cast(cython.pointer(uint32_t), PyByteArray_AS_STRING(places))
        for i in range(self.coder.columns):
            for code in range(self.dictionaries[i].count):
                place[0] = self.dictionaries[i].values[code].offset
                place[1] = self.dictionaries[i].values[code].length
                place += 2
        m: int64_t = self.group_count
        groups = PyByteArray_FromStringAndSize(cython.NULL, 32 * m)
        wide = cython.cast(cython.pointer(uint64_t), PyByteArray_AS_STRING(groups))
        number: int64_t
        for number in range(m):
            wide[number] = self.groups[number].first
            wide[m + number] = self.groups[number].count
            wide[2 * m + 2 * number] = self.groups[number].low
            wide[2 * m + 2 * number + 1] = self.groups[number].high
        return (counts, places, m, groups)
