"""The compiled map from 128-bit identities to rows.

It is 256 hash tables, chosen by the highest byte of an identity's first word, each with open
addressing, linear probing and at most half full: each grows, and is cleared, by itself, so that
none of it takes long. The identities are random (a keyed hash), so their bits are taken as they
are. A table's slot keeps 96 of the 128 bits, which is enough never to meet a false one.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy

SOURCE_SHA256: str = ""

Slot = cython.struct(
    second=uint64_t,  # of the identity's words
    first=uint32_t,  # the low half of the first, which is also where the search begins
    owner=uint32_t,  # the row, and in the highest byte its generation; 0 where the slot is free
)
Slots = cython.typedef(cython.pointer(Slot))
Part = cython.struct(slots=Slots, size=uint32_t, used=uint32_t)

PARTS = cython.declare(cython.int, 256)
ROW_LIMIT = cython.declare(int64_t, 1 << 24)
FIRST_SIZE = cython.declare(cython.int, 16)
FEWEST = cython.declare(cython.int, 64)


@cython.final
@cython.cclass
class AliasTable:
    """At most `limit` identities (or 16,384), each with the row of its label set.

    Row 0, which is no label set's, has none, nor have rows from 2^24 on. Not to be used by two
    threads at once.
    """

    _parts: Part[256]
    _most: uint32_t  # identities in a part
    _generations: cython.pointer(uint8_t)  # of each row, so that all its identities can be dropped
    _capacity: cython.Py_ssize_t

    def __cinit__(self, limit: int64_t) -> None:
        self._most = cython.cast(uint32_t, max(limit // PARTS, FEWEST))

    def __dealloc__(self) -> None:
        i: cython.int
        for i in range(PARTS):
            free(self._parts[i].slots)
        free(self._generations)

    def grow(self, capacity: cython.Py_ssize_t) -> None:
        """Make room for rows up to `capacity` - 1."""
        if capacity <= self._capacity:
            return
        generations = cython.cast(cython.pointer(uint8_t), calloc(capacity, 1))
        if generations == cython.NULL:
            raise MemoryError
        if self._capacity:
            memcpy(generations, self._generations, self._capacity)
        free(self._generations)
        self._generations = generations
        self._capacity = capacity

    def forget(self, rows: cython.const[int64_t][::1]) -> None:
        """Drop every identity of these rows."""
        i: cython.Py_ssize_t
        for i in range(rows.shape[0]):
            if not 0 <= rows[i] < self._capacity:
                raise IndexError(rows[i])
            self._generations[rows[i]] += 1
            if self._generations[rows[i]] == 0:
                # The generations of this row begin again: nothing of the former ones may be left.
                self.clear()

    def clear(self) -> None:
        """Drop all."""
        i: cython.int
        for i in range(PARTS):
            self._clear(cython.address(self._parts[i]))

    def find(self, identities: cython.const[uint64_t][:, ::1], rows: int64_t[::1]) -> int:
        """Write the row of each identity (m, 2), or -1, to `rows` (m,); returns how many are -1."""
        i: cython.Py_ssize_t
        slot: Slots
        missing: cython.Py_ssize_t = 0
        if identities.shape[1] != 2 or rows.shape[0] != identities.shape[0]:
            raise ValueError("identities (m, 2) and rows (m,) have other shapes")
        with cython.nogil, cython.boundscheck(False):  # the shapes were checked
            for i in range(identities.shape[0]):
                slot = self._slot(
                    cython.address(self._parts[identities[i, 0] >> 56]),
                    cython.cast(uint32_t, identities[i, 0]),
                    identities[i, 1],
                )
                if slot != cython.NULL and self._current(slot.owner):
                    rows[i] = slot.owner & 0xFFFFFF
                else:
                    rows[i] = -1
                    missing += 1
        return missing

    def put(
        self,
        identities: cython.const[uint64_t][:, ::1],
        positions: cython.const[int64_t][::1],
        rows: cython.const[int64_t][::1],
    ) -> None:
        """Remember the rows (k,) of the identities at these positions (k,)."""
        i: cython.Py_ssize_t
        if identities.shape[1] != 2 or rows.shape[0] != positions.shape[0]:
            raise ValueError("identities (m, 2) and rows (k,) have other shapes")
        for i in range(positions.shape[0]):
            if 0 < rows[i] < min(self._capacity, ROW_LIMIT):
                self._put(
                    identities[positions[i], 0],
                    identities[positions[i], 1],
                    cython.cast(uint32_t, rows[i]),
                )

    def nbytes(self) -> int:
        """The memory of all parts, and of the rows' generations."""
        i: cython.int
        slots: cython.Py_ssize_t = 0
        for i in range(PARTS):
            slots += self._parts[i].size
        return slots * cython.sizeof(Slot) + self._capacity + cython.sizeof(self._parts)

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(2)
    def _current(self, owner: uint32_t) -> cython.bint:
        """Whether a slot is taken, and its row hasn't been given up since."""
        return owner != 0 and owner >> 24 == self._generations[owner & 0xFFFFFF]

    @cython.cfunc
    @cython.inline
    @cython.nogil
    @cython.exceptval(check=False)  # it goes by pointers alone: nothing in it can raise
    def _slot(self, part: cython.pointer(Part), first: uint32_t, second: uint64_t) -> Slots:
        """Where an identity is, or the free slot where it would be; null in a part of no size."""
        at: uint32_t = first & (part.size - 1)
        slot: Slots
        if part.size == 0:
            return cython.NULL
        while True:
            slot = part.slots + at
            if slot.owner == 0 or (slot.second == second and slot.first == first):
                return slot
            at = (at + 1) & (part.size - 1)

    @cython.cfunc
    @cython.exceptval(-1)
    def _put(self, first: uint64_t, second: uint64_t, row: uint32_t) -> cython.int:
        part: cython.pointer(Part) = cython.address(self._parts[first >> 56])
        slot: Slots = self._slot(part, cython.cast(uint32_t, first), second)
        if slot == cython.NULL or slot.owner == 0:
            if part.used >= self._most:
                self._clear(part)
            if 2 * (part.used + 1) > part.size:
                self._enlarge(part)
            slot = self._slot(part, cython.cast(uint32_t, first), second)
            part.used += 1
        slot.first = cython.cast(uint32_t, first)
        slot.second = second
        slot.owner = row | (cython.cast(uint32_t, self._generations[row]) << 24)
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def _enlarge(self, part: cython.pointer(Part)) -> cython.int:
        """Double a part, without what its rows have given up."""
        old: Slots = part.slots
        old_size: uint32_t = part.size
        i: uint32_t
        larger: uint32_t = max(cython.cast(uint32_t, FIRST_SIZE), 2 * old_size)
        slots = cython.cast(Slots, calloc(larger, cython.sizeof(Slot)))
        if slots == cython.NULL:
            raise MemoryError
        part.slots = slots
        part.size = larger
        part.used = 0
        for i in range(old_size):
            if self._current(old[i].owner):
                self._slot(part, old[i].first, old[i].second)[0] = old[i]
                part.used += 1
        free(old)
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def _clear(self, part: cython.pointer(Part)) -> cython.int:
        free(part.slots)
        part.slots = cython.NULL
        part.size = 0
        part.used = 0
        return 0
