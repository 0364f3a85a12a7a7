"""Kernel: the two sides of each call, brought together by the id of the client's span.

It does what `pairing.py` says, side by side instead of column by column, with the same results:
that is its reference. From top to bottom: numbers, records, the ring that remembers records by
key, and the pairing itself. One file, longer than others: the ring's functions are called several
times for each side, and C inlines only within one module.

Compiled by Cython in pure-Python mode; never run as it stands.
"""

# Kernels come without `from __future__ import annotations`: their annotations are C types.
import cython
from cython.cimports.libc.stdlib import calloc, free, malloc, realloc

SOURCE_SHA256: str = ""

# Flags of sides, as in `pairing.py`; ROOT is one that names no client.
CLIENT = cython.declare(cython.uint, 1)
MESSAGING = cython.declare(cython.uint, 2)
FAILED = cython.declare(cython.uint, 4)
CALLS_DATABASE = cython.declare(cython.uint, 8)
PRODUCER_ONLY = cython.declare(cython.uint, 16)
PAIRED = cython.declare(cython.uint, 32)
ROOT = cython.declare(cython.uint, 64)

# Connection types, as in `edges.py`.
DIRECT = cython.declare(cython.longlong, 0)
VIRTUAL_NODE = cython.declare(cython.longlong, 1)
MESSAGING_SYSTEM = cython.declare(cython.longlong, 2)
DATABASE = cython.declare(cython.longlong, 3)

# Positions in what `Pairing.take_unpaired` returns.
NO_CLIENT = cython.declare(cython.int, 0)
NO_SERVER = cython.declare(cython.int, 1)
NOT_A_CLIENT = cython.declare(cython.int, 2)
NO_USER = cython.declare(cython.int, 3)
EVICTED = cython.declare(cython.int, 4)

NO_NAME = cython.declare(cython.longlong, -1)
NOBODY = cython.declare(cython.longlong, -1)

_LEAST_CAPACITY = cython.declare(cython.longlong, 1024)
_LARGEST_CAPACITY = cython.declare(cython.longlong, 1 << 30)
# So many entries of a table in a row are no chance at a load of a half: another seed is due.
_LONGEST_PROBE = cython.declare(cython.longlong, 256)
_EDGES_KEPT = cython.declare(cython.longlong, 16384)
_NAME_BITS = cython.declare(cython.int, 30)

# A span that is remembered, or an end that waits: 48 bytes. `other` is the code of a span's peer,
# or the number of the end that waited for the same span before (on the way in: the index of the
# side that the end belongs to).
Side = cython.struct(
    key=cython.longlong,
    arrival=cython.longlong,
    duration=cython.ulonglong,
    weight=cython.double,
    other=cython.longlong,
    service=cython.int,
    flags=cython.uint,
)

# A request between two services; its key is client, server and connection type.
Edge = cython.struct(
    key=cython.longlong,
    client_ns=cython.ulonglong,
    server_ns=cython.ulonglong,
    weight=cython.double,
    flags=cython.longlong,
)
EDGE_FAILED = cython.declare(cython.longlong, 1)
EDGE_CLIENT_KNOWN = cython.declare(cython.longlong, 2)

_STEP = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
_FIRST = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)
_SECOND = cython.declare(cython.ulonglong, 0x94D049BB133111EB)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _mixed(word: cython.ulonglong) -> cython.ulonglong:
    """SplitMix64, as `keys.py` has it."""
    word += _STEP
    word ^= word >> 30
    word *= _FIRST
    word ^= word >> 27
    word *= _SECOND
    word ^= word >> 31
    return word


@cython.final
@cython.cclass
class Ring:
    """Records in the order in which they came, the oldest out first, found by their key.

    Each has a number that never comes again; those that are there go from `first` to `next`
    (exclusive) and stand at their number modulo the capacity. The table is open addressing with
    linear probing: an entry is 32 bits of a hash and the place + 1 in 32 more, 0 where it is
    free. It has two entries for each place, so at most half of it is taken. The hash has a seed
    of the process, so that nobody can contrive keys that meet; what is found doesn't depend on it.

    Memory: 64 bytes for each place; places double as they fill up and halve when three quarters
    of them are free.
    """

    _records: cython.pointer(Side)
    _entries: cython.p_ulonglong
    capacity: cython.longlong
    _seed: cython.ulonglong
    _fetched: cython.longlong  # what `fetch` has read: without a use it would read nothing
    first: cython.longlong
    next: cython.longlong

    def __cinit__(self, seed: cython.ulonglong) -> None:
        self._seed = seed
        self.capacity = _LEAST_CAPACITY
        self._records = cython.cast(
            cython.pointer(Side), malloc(self.capacity * cython.sizeof(Side))
        )
        self._entries = cython.cast(
            cython.p_ulonglong, calloc(2 * self.capacity, cython.sizeof(cython.ulonglong))
        )
        if not self._records or not self._entries:
            raise MemoryError

    def __dealloc__(self) -> None:
        free(self._records)
        free(self._entries)

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def at(self, number: cython.longlong) -> cython.pointer(Side):
        """The record with this number, which is there."""
        return cython.address(self._records[number & (self.capacity - 1)])

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _hash(self, key: cython.longlong) -> cython.ulonglong:
        return _mixed(cython.cast(cython.ulonglong, key) ^ self._seed) >> 32

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _entry(self, key: cython.longlong) -> cython.longlong:
        """Where the entry of a key is, or the free one where it would be."""
        mask: cython.ulonglong = 2 * self.capacity - 1
        hashed: cython.ulonglong = self._hash(key)
        i: cython.ulonglong = hashed & mask
        entry: cython.ulonglong
        while True:
            entry = self._entries[i]
            if entry == 0:
                break
            if entry >> 32 == hashed and self._records[((entry << 32) >> 32) - 1].key == key:
                break
            i = (i + 1) & mask
        return cython.cast(cython.longlong, i)

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def find(self, key: cython.longlong) -> cython.longlong:
        """The number of the record that the table has for a key, or NOBODY."""
        entry: cython.ulonglong = self._entries[self._entry(key)]
        if entry == 0:
            return NOBODY
        place: cython.longlong = cython.cast(cython.longlong, (entry << 32) >> 32) - 1
        return self.first + ((place - self.first) & (self.capacity - 1))

    @cython.cfunc
    @cython.exceptval(check=False)
    def fetch(self, sides: cython.pointer(Side), count: cython.longlong) -> cython.void:
        """Read what `find` will read for these keys: so short a loop waits for many at a time."""
        mask: cython.ulonglong = 2 * self.capacity - 1
        entry: cython.ulonglong
        seen: cython.longlong = 0
        i: cython.longlong
        for i in range(count):
            entry = self._entries[self._hash(sides[i].key) & mask]
            seen += entry != 0
        for i in range(count):
            entry = self._entries[self._hash(sides[i].key) & mask]
            if entry:
                seen += self._records[((entry << 32) >> 32) - 1].flags
        self._fetched = seen

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def append(self, record: cython.pointer(Side)) -> cython.longlong:
        """Take a record, for which `reserve` made room; the table has it for its key from now on.

        Returns its number.
        """
        i: cython.longlong = self._entry(record.key)
        home: cython.longlong
        number: cython.longlong = self.next
        self.at(number)[0] = record[0]
        self.next += 1
        self._point(i, record.key, number)
        home = cython.cast(cython.longlong, self._hash(record.key)) & (2 * self.capacity - 1)
        if (i - home) & (2 * self.capacity - 1) > _LONGEST_PROBE:
            self._seed = _mixed(self._seed)
            self._move(self.capacity)
        return number

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _point(
        self, i: cython.longlong, key: cython.longlong, number: cython.longlong
    ) -> cython.void:
        place: cython.ulonglong = cython.cast(cython.ulonglong, number & (self.capacity - 1))
        self._entries[i] = (self._hash(key) << 32) | (place + 1)

    @cython.cfunc
    @cython.exceptval(check=False)
    def forget(self, key: cython.longlong) -> cython.void:
        """Let the table have nothing for a key; the record stays.

        What stood behind it in the row moves up, so that no marks of what is gone pile up
        (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R).
        """
        mask: cython.ulonglong = 2 * self.capacity - 1
        free_one: cython.ulonglong = cython.cast(cython.ulonglong, self._entry(key))
        i: cython.ulonglong = free_one
        home: cython.ulonglong
        if self._entries[free_one] == 0:
            return
        while True:
            i = (i + 1) & mask
            if self._entries[i] == 0:
                break
            home = (self._entries[i] >> 32) & mask
            if ((i - home) & mask) >= ((i - free_one) & mask):
                self._entries[free_one] = self._entries[i]
                free_one = i
        self._entries[free_one] = 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def put(self, record: cython.pointer(Side), known: cython.bint) -> cython.int:
        """Take a record, for which `reserve` made room; the table has it only where `known`."""
        if known:
            self.append(record)
            return 0
        self.at(self.next)[0] = record[0]
        self.next += 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def reserve(self, more: cython.longlong) -> cython.int:
        """Make room for so many records; raises MemoryError, and then nothing has changed."""
        capacity: cython.longlong = self.capacity
        while capacity < self.next - self.first + more:
            capacity *= 2
        return 0 if capacity == self.capacity else self._move(capacity)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def give_back(self) -> cython.int:
        """Give back memory that a flood has left."""
        capacity: cython.longlong = self.capacity
        while capacity > _LEAST_CAPACITY and self.next - self.first <= capacity // 4:
            capacity //= 2
        return 0 if capacity == self.capacity else self._move(capacity)

    @cython.cfunc
    def keys(self) -> cython.longlong:
        """How many keys the table has."""
        taken: cython.longlong = 0
        i: cython.longlong
        for i in range(2 * self.capacity):
            taken += self._entries[i] != 0
        return taken

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _move(self, capacity: cython.longlong) -> cython.int:
        """Move all to so many places, and what the table has to a new table."""
        old_records: cython.pointer(Side) = self._records
        old_entries: cython.p_ulonglong = self._entries
        old_capacity: cython.longlong = self.capacity
        records: cython.pointer(Side)
        entries: cython.p_ulonglong
        i: cython.longlong
        place: cython.longlong
        number: cython.longlong
        if capacity > _LARGEST_CAPACITY:
            raise MemoryError("a pairing has no room for 2^30 sides")
        records = cython.cast(cython.pointer(Side), malloc(capacity * cython.sizeof(Side)))
        entries = cython.cast(
            cython.p_ulonglong, calloc(2 * capacity, cython.sizeof(cython.ulonglong))
        )
        if not records or not entries:
            free(records)
            free(entries)
            raise MemoryError
        for number in range(self.first, self.next):
            records[number & (capacity - 1)] = old_records[number & (old_capacity - 1)]
        self._records = records
        self._entries = entries
        self.capacity = capacity
        for i in range(2 * old_capacity):
            if old_entries[i]:
                place = cython.cast(cython.longlong, (old_entries[i] << 32) >> 32) - 1
                number = self.first + ((place - self.first) & (old_capacity - 1))
                self._point(self._entry(self.at(number).key), self.at(number).key, number)
        free(old_records)
        free(old_entries)
        return 0


@cython.final
@cython.cclass
class Pairing:
    """What `pairing.Pairing` is: 64 to 128 bytes for each span and each end that is held."""

    _wait: cython.longlong
    _limit: cython.longlong
    _spans: Ring
    _ends: Ring
    _unpaired: cython.longlong[5]
    _edges: cython.pointer(Edge)
    _edge_count: cython.longlong
    _edge_capacity: cython.longlong
    # The sides that are being taken, the number that each new one has got, and their ends.
    _sides: cython.pointer(Side)
    _side_count: cython.longlong
    _numbers: cython.p_longlong
    _named: cython.pointer(Side)
    _named_count: cython.longlong

    def __cinit__(
        self, wait_ns: cython.longlong, limit: cython.longlong, seed: cython.ulonglong
    ) -> None:
        """Remember `limit` sides for `wait_ns`, at least 0; the seed is for the tables alone."""
        if wait_ns < 0:
            raise ValueError("nobody waits for less than no time")
        self._wait = wait_ns
        self._limit = limit
        self._spans = Ring(seed)
        self._ends = Ring(_mixed(seed))

    def __dealloc__(self) -> None:
        free(self._edges)

    @property
    def remembered(self) -> int:
        """How many spans are remembered."""
        return self._spans.next - self._spans.first

    @property
    def waiting(self) -> int:
        """How many ends wait, or have waited."""
        return self._ends.next - self._ends.first

    @property
    def keys(self) -> tuple:
        """How many keys are known, of spans and of ends that wait; counted one by one."""
        return self._spans.keys(), self._ends.keys()

    @property
    def nbytes(self) -> int:
        """The memory of what is remembered, in bytes."""
        place: cython.longlong = cython.sizeof(Side) + 2 * cython.sizeof(cython.ulonglong)
        return (self._spans.capacity + self._ends.capacity) * place

    def expire(self, now_ns: cython.longlong) -> None:
        """Give up what arrived `wait_ns` ago or before; `now_ns` is at least 0."""
        until: cython.longlong
        if now_ns < 0:
            raise ValueError("no time has passed")
        until = now_ns - self._wait
        # Ends first: while their parents are remembered they can be told for what they are.
        self._release_ends(_arrived_until(self._ends, until), NO_CLIENT)
        self._release_spans(_arrived_until(self._spans, until), NO_SERVER)
        self._ends.give_back()
        self._spans.give_back()

    def take(
        self,
        sides: cython.longlong[:, ::1],
        side_count: cython.longlong,
        ends: cython.longlong[:, ::1],
        end_count: cython.longlong,
        user: cython.longlong,
    ) -> None:
        """Take at most `limit` sides with the ends that they have, as `_columns.fill_sides` wrote.

        `user` is the name of the client of servers that are roots, NO_NAME for none. The two
        arrays are scratch: what they hold afterwards means nothing.
        """
        i: cython.longlong
        if not 0 <= side_count <= min(sides.shape[0], self._limit) or sides.shape[1] != 6:
            raise ValueError("there are not so many sides")
        if not 0 <= end_count <= ends.shape[0] or ends.shape[1] != 6:
            raise ValueError("there are not so many ends")
        if side_count == 0:
            return
        self._sides = cython.cast(cython.pointer(Side), cython.address(sides[0, 0]))
        self._side_count = side_count
        self._named = cython.cast(cython.pointer(Side), cython.address(ends[0, 0]))
        self._named_count = end_count
        for i in range(end_count):
            if not 0 <= self._named[i].other < side_count or self._named[i].flags & PAIRED:
                raise ValueError("an end belongs to no side, or is paired already")
        self._numbers = cython.cast(
            cython.p_longlong, malloc(side_count * cython.sizeof(cython.longlong))
        )
        if not self._numbers:
            raise MemoryError
        try:
            self._take(user)
        finally:
            free(self._numbers)

    @property
    def edge_count(self) -> int:
        """How many edges `take_edges` has to give."""
        return self._edge_count

    def take_edges(self, columns: cython.longlong[:, ::1]) -> None:
        """Move the edges since the last time into (5, edge_count) columns.

        They are: the key, flags, the client's and the server's nanoseconds, the bits of the weight.
        """
        i: cython.longlong
        weights: cython.p_double
        if columns.shape[0] != 5 or columns.shape[1] != self._edge_count:
            raise ValueError("the columns have no room for the edges")
        if self._edge_count:
            weights = cython.cast(cython.p_double, cython.address(columns[4, 0]))
            for i in range(self._edge_count):
                columns[0, i] = self._edges[i].key
                columns[1, i] = self._edges[i].flags
                columns[2, i] = cython.cast(cython.longlong, self._edges[i].client_ns)
                columns[3, i] = cython.cast(cython.longlong, self._edges[i].server_ns)
                weights[i] = self._edges[i].weight
        self._edge_count = 0
        if self._edge_capacity > _EDGES_KEPT:
            free(self._edges)
            self._edges = cython.NULL
            self._edge_capacity = 0

    def take_unpaired(self) -> tuple:
        """The sides since the last time that made no edge, by reason."""
        taken = tuple(self._unpaired[i] for i in range(5))
        for i in range(5):
            self._unpaired[i] = 0
        return taken

    def mark_names(self, used: cython.uchar[::1]) -> None:
        """Write 1 at the code of each name that is held."""
        number: cython.longlong
        for number in range(self._spans.first, self._spans.next):
            used[self._spans.at(number).service] = 1
            if self._spans.at(number).other != NO_NAME:
                used[self._spans.at(number).other] = 1
        for number in range(self._ends.first, self._ends.next):
            used[self._ends.at(number).service] = 1

    def rename(self, renamed: cython.const[cython.int][::1]) -> None:
        """Replace each code of a name by `renamed[code]`."""
        number: cython.longlong
        for number in range(self._spans.first, self._spans.next):
            self._spans.at(number).service = renamed[self._spans.at(number).service]
            if self._spans.at(number).other != NO_NAME:
                self._spans.at(number).other = renamed[self._spans.at(number).other]
        for number in range(self._ends.first, self._ends.next):
            self._ends.at(number).service = renamed[self._ends.at(number).service]

    def copy_spans(
        self, words: cython.longlong[:, ::1], services: cython.int[::1], flags: cython.uchar[::1]
    ) -> None:
        """Write the remembered spans into columns, (5, n) and (n,), as `KeptSides` has them."""
        _copy(self._spans, words, services, flags, False)

    def copy_ends(
        self, words: cython.longlong[:, ::1], services: cython.int[::1], flags: cython.uchar[::1]
    ) -> None:
        """Write the ends that wait, or have waited, into such columns."""
        _copy(self._ends, words, services, flags, True)

    def take_over(self, spans: tuple, ends: tuple, names: cython.longlong) -> None:
        """Remember spans and ends, each (words, services, flags) as they were copied.

        All codes are below `names`. Raises ValueError where something can't be, or where
        something is remembered already, and then nothing has changed.
        """
        new_spans: Ring = Ring(self._spans._seed)
        new_ends: Ring = Ring(self._ends._seed)
        if self._spans.next != self._spans.first or self._ends.next != self._ends.first:
            raise ValueError("something is remembered already")
        _refill(new_spans, spans, False, names)
        _refill(new_ends, ends, True, names)
        self._spans = new_spans
        self._ends = new_ends

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _take(self, user: cython.longlong) -> cython.int:
        """Remember the sides that are new, and join them and their ends with what there is."""
        i: cython.longlong
        flags: cython.uint
        self._spans.reserve(self._side_count)
        self._spans.fetch(self._sides, self._side_count)
        self._spans.fetch(self._named, self._named_count)
        if self._ends.next > self._ends.first:
            self._ends.fetch(self._sides, self._side_count)
            self._ends.fetch(self._named, self._named_count)
        for i in range(self._side_count):
            flags = self._sides[i].flags
            self._numbers[i] = NOBODY
            if self._spans.find(self._sides[i].key) == NOBODY:
                self._sides[i].flags = flags & ~ROOT
                self._numbers[i] = self._spans.append(cython.address(self._sides[i]))
                self._sides[i].flags = flags
        if self._ends.next > self._ends.first:
            for i in range(self._side_count):
                if self._numbers[i] != NOBODY and self._sides[i].flags & CLIENT:
                    self._join_waiting(self._numbers[i])
        self._join_remembered()
        self._release_ends(self._ends.next - self._ends.first - self._limit, EVICTED)
        self._release_spans(self._spans.next - self._spans.first - self._limit, EVICTED)
        self._take_roots(user)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _join_waiting(self, client: cython.longlong) -> cython.int:
        """Join a client with the ends that waited for it, the last of them first."""
        number: cython.longlong = self._ends.find(self._spans.at(client).key)
        if number == NOBODY:
            return 0
        self._ends.forget(self._spans.at(client).key)
        while number >= self._ends.first:
            self._ends.at(number).flags |= PAIRED
            self._pair(client, self._ends.at(number))
            number = self._ends.at(number).other
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _join_remembered(self) -> cython.int:
        """Join the new sides' ends with the clients that are there, and let the others wait."""
        i: cython.longlong
        begin: cython.longlong
        end: cython.longlong
        number: cython.longlong
        left: cython.longlong = 0
        for i in range(self._named_count):
            if self._numbers[self._named[i].other] == NOBODY:
                continue
            number = self._spans.find(self._named[i].key)
            if number == NOBODY:
                self._named[left] = self._named[i]
                left += 1
                continue
            if not (self._spans.at(number).flags & CLIENT or self._named[i].flags & PRODUCER_ONLY):
                self._unpaired[NOT_A_CLIENT] += 1
            self._pair(number, cython.address(self._named[i]))
        begin = 0
        while begin < left:
            end = min(begin + self._limit, left)
            self._ends.reserve(end - begin)
            for i in range(begin, end):
                self._named[i].other = self._ends.find(self._named[i].key)
                self._ends.append(cython.address(self._named[i]))
            self._release_ends(self._ends.next - self._ends.first - self._limit, EVICTED)
            begin = end
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _pair(self, number: cython.longlong, end: cython.pointer(Side)) -> cython.int:
        """Make an edge of a remembered span and an end, if the span is the client it needs."""
        client: cython.pointer(Side) = self._spans.at(number)
        kind: cython.longlong = DIRECT
        flags: cython.uint = client.flags | end.flags
        if not client.flags & CLIENT:
            return 0
        if end.flags & PRODUCER_ONLY and not client.flags & MESSAGING:
            return 0
        client.flags |= PAIRED
        if flags & CALLS_DATABASE:
            kind = DATABASE
        elif flags & MESSAGING:
            kind = MESSAGING_SYSTEM
        return self._add_edge(
            _edge_key(client.service, end.service, kind),
            EDGE_CLIENT_KNOWN | (EDGE_FAILED if flags & FAILED else 0),
            client.duration,
            end.duration,
            client.weight if client.weight > end.weight else end.weight,
        )

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _take_roots(self, user: cython.longlong) -> cython.int:
        """The edges of new sides that name no client: a user's requests, a broker's messages."""
        i: cython.longlong
        side: cython.pointer(Side)
        client: cython.longlong
        for i in range(self._side_count):
            side = cython.address(self._sides[i])
            if self._numbers[i] == NOBODY or not side.flags & ROOT:
                continue
            client = side.other if side.flags & MESSAGING else user
            if client == NO_NAME:
                self._unpaired[NO_CLIENT if side.flags & MESSAGING else NO_USER] += 1
                continue
            self._add_edge(
                _edge_key(client, side.service, VIRTUAL_NODE),
                EDGE_FAILED if side.flags & FAILED else 0,
                0,
                side.duration,
                side.weight,
            )
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _release_ends(self, many: cython.longlong, reason: cython.int) -> cython.int:
        """Give up so many of the oldest ends."""
        until: cython.longlong = self._ends.first + many
        end: cython.pointer(Side)
        while self._ends.first < until:
            end = self._ends.at(self._ends.first)
            if not end.flags & PAIRED:
                if self._ends.find(end.key) == self._ends.first:
                    self._ends.forget(end.key)
                if not end.flags & PRODUCER_ONLY:
                    if reason == NO_CLIENT and self._spans.find(end.key) != NOBODY:
                        self._unpaired[NOT_A_CLIENT] += 1
                    else:
                        self._unpaired[reason] += 1
            self._ends.first += 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _release_spans(self, many: cython.longlong, reason: cython.int) -> cython.int:
        """Give up so many of the oldest spans: clients that name a peer become edges to it."""
        until: cython.longlong = self._spans.first + many
        span: cython.pointer(Side)
        database: cython.bint
        kind: cython.longlong
        begin: cython.longlong = self._spans.first & (self._spans.capacity - 1)
        if many > 0:
            self._spans.fetch(
                self._spans.at(self._spans.first), min(many, self._spans.capacity - begin)
            )
        while self._spans.first < until:
            span = self._spans.at(self._spans.first)
            self._spans.forget(span.key)
            if span.flags & (CLIENT | PAIRED) == CLIENT:
                database = span.flags & CALLS_DATABASE != 0
                # The server of an evicted client may still come: the edge would be a wrong one.
                if span.other == NO_NAME or (reason == EVICTED and not database):
                    self._unpaired[reason] += 1
                else:
                    kind = DATABASE if database else VIRTUAL_NODE
                    self._add_edge(
                        _edge_key(span.service, span.other, kind),
                        EDGE_CLIENT_KNOWN | (EDGE_FAILED if span.flags & FAILED else 0),
                        span.duration,
                        span.duration,
                        span.weight,
                    )
            self._spans.first += 1
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def _add_edge(
        self,
        key: cython.longlong,
        flags: cython.longlong,
        client_ns: cython.ulonglong,
        server_ns: cython.ulonglong,
        weight: cython.double,
    ) -> cython.int:
        capacity: cython.longlong
        edges: cython.pointer(Edge)
        if self._edge_count == self._edge_capacity:
            capacity = max(256, 2 * self._edge_capacity)
            edges = cython.cast(
                cython.pointer(Edge), realloc(self._edges, capacity * cython.sizeof(Edge))
            )
            if not edges:
                raise MemoryError
            self._edges = edges
            self._edge_capacity = capacity
        self._edges[self._edge_count] = Edge(key, client_ns, server_ns, weight, flags)
        self._edge_count += 1
        return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _edge_key(
    client: cython.longlong, server: cython.longlong, kind: cython.longlong
) -> cython.longlong:
    # Unsigned: codes that can't be make a key that nobody has, where C could make anything of it.
    return cython.cast(
        cython.longlong,
        (cython.cast(cython.ulonglong, client) << (_NAME_BITS + 2))
        | (cython.cast(cython.ulonglong, server) << 2)
        | cython.cast(cython.ulonglong, kind),
    )


@cython.cfunc
@cython.exceptval(check=False)
def _arrived_until(ring: Ring, time_ns: cython.longlong) -> cython.longlong:
    """How many of the oldest records arrived at that time or before, up to the first later one."""
    number: cython.longlong = ring.first
    while number < ring.next and ring.at(number).arrival <= time_ns:
        number += 1
    return number - ring.first


@cython.cfunc
@cython.boundscheck(False)  # all columns are as long as the loop: checked before it
@cython.exceptval(-1, check=False)
def _copy(
    ring: Ring,
    words: cython.longlong[:, ::1],
    services: cython.int[::1],
    flags: cython.uchar[::1],
    ends: cython.bint,
) -> cython.int:
    """Write all records, the oldest first; of ends, `other` counts from the oldest on."""
    n: cython.longlong = ring.next - ring.first
    i: cython.longlong
    side: cython.pointer(Side)
    other: cython.longlong
    weights: cython.p_double
    if words.shape[0] != 5 or words.shape[1] != n or services.shape[0] != n or flags.shape[0] != n:
        raise ValueError("the columns have no room for what is remembered")
    if n == 0:
        return 0
    weights = cython.cast(cython.p_double, cython.address(words[3, 0]))
    for i in range(n):
        side = ring.at(ring.first + i)
        other = side.other
        if ends:
            other = other - ring.first if other >= ring.first else NOBODY
        words[0, i] = side.key
        words[1, i] = side.arrival
        words[2, i] = cython.cast(cython.longlong, side.duration)
        weights[i] = side.weight
        words[4, i] = other
        services[i] = side.service
        flags[i] = side.flags
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def _refill(ring: Ring, columns: tuple, ends: cython.bint, names: cython.longlong) -> cython.int:
    """Put into an empty ring what `_copy` wrote."""
    words: cython.const[cython.longlong][:, ::1]
    services: cython.const[cython.int][::1]
    flags: cython.const[cython.uchar][::1]
    words, services, flags = columns
    n: cython.longlong = services.shape[0]
    i: cython.longlong
    side = cython.declare(Side)
    weights: cython.pointer(cython.const[cython.double])
    if words.shape[0] != 5 or words.shape[1] != n or flags.shape[0] != n:
        raise ValueError("the columns differ in length")
    if n == 0:
        return 0
    weights = cython.cast(cython.pointer(cython.const[cython.double]), cython.address(words[3, 0]))
    ring.reserve(n)
    for i in range(n):
        side.key = words[0, i]
        side.arrival = words[1, i]
        side.duration = cython.cast(cython.ulonglong, words[2, i])
        side.weight = weights[i]
        side.other = words[4, i]
        side.service = services[i]
        side.flags = flags[i]
        # An end leads to an earlier one: so whoever follows them comes to an end.
        if not NOBODY <= side.other < (i if ends else names):
            raise ValueError("a side leads to one that isn't there")
        if ends and side.other != NOBODY and words[0, side.other] != side.key:
            raise ValueError("an end leads to one that waits for another span")
        if not 0 <= side.service < names or side.flags >= ROOT:
            raise ValueError("a side has no service or flags that can't be")
        if not ends and ring.find(side.key) != NOBODY:
            raise ValueError("a span is there twice")
        ring.put(cython.address(side), not (ends and side.flags & PAIRED))
    return 0
