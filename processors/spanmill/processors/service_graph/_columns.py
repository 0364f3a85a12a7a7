"""Kernel: the columns of a batch as the sides that are paired, and edges by their key.

`fill_sides` does what `sides.py` does, row by row instead of column by column, with the same
results: that is its reference. `number_keys` stands for `np.unique`, in the order of first rows.

Compiled by Cython in pure-Python mode; never run as it stands.
"""

# Kernels come without `from __future__ import annotations`: their annotations are C types.
import cython
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memmove, memset

SOURCE_SHA256: str = ""

# Flags of sides, as in `pairing.py`; ROOT is one that names no client.
CLIENT = cython.declare(cython.uint, 1)
MESSAGING = cython.declare(cython.uint, 2)
FAILED = cython.declare(cython.uint, 4)
CALLS_DATABASE = cython.declare(cython.uint, 8)
PRODUCER_ONLY = cython.declare(cython.uint, 16)
ROOT = cython.declare(cython.uint, 64)

# Span kinds and the status of an error, by their numbers in the protocol.
_SERVER = cython.declare(cython.int, 2)
_CLIENT = cython.declare(cython.int, 3)
_PRODUCER = cython.declare(cython.int, 4)
_CONSUMER = cython.declare(cython.int, 5)
_ERROR = cython.declare(cython.int, 2)

NO_NAME = cython.declare(cython.int, -1)
NOBODY = cython.declare(cython.longlong, -1)

MOST_ATTRIBUTES = cython.declare(cython.int, 64)

# As in `_pairing.py`. `other` is the code of a side's peer; of an end, the index of its side.
Side = cython.struct(
    key=cython.longlong,
    arrival=cython.longlong,
    duration=cython.ulonglong,
    weight=cython.double,
    other=cython.longlong,
    service=cython.int,
    flags=cython.uint,
)

# The codes of one attribute column and, for a peer attribute, the name behind each code.
Column = cython.struct(
    codes=cython.pointer(cython.const[cython.int]), names=cython.pointer(cython.const[cython.int])
)

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


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _word(at: cython.pointer(cython.const[cython.uchar])) -> cython.ulonglong:
    """Eight bytes as a little-endian number, on any machine; compilers make one load of it."""
    word: cython.ulonglong = 0
    i: cython.int
    for i in range(8):
        word |= cython.cast(cython.ulonglong, at[i]) << (8 * i)
    return word


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _key(trace_hash: cython.ulonglong, span_id: cython.ulonglong) -> cython.longlong:
    return cython.cast(cython.longlong, _mixed(trace_hash ^ span_id) >> 4)


@cython.final
@cython.cclass
class Columns:
    """The columns of one batch that say which sides of calls its spans are.

    They are those of `SpanBatch`, n rows each. `services` has the name of each resource's service,
    int32. `peers` has, for each peer attribute, its codes and the name behind each code, int32,
    NO_NAME for none; `databases` has the codes of each attribute of databases. `link_rows`, int64,
    ascending, and `link_keys`, int64, are the links of consumers. Raises ValueError where lengths
    differ or a code has no value.
    """

    _rows: cython.Py_ssize_t
    _arrival: cython.longlong
    _kind: cython.const[cython.uchar][::1]
    _status: cython.const[cython.uchar][::1]
    _trace_id: cython.const[cython.uchar][:, ::1]
    _span_id: cython.const[cython.uchar][:, ::1]
    _parent_id: cython.const[cython.uchar][:, ::1]
    _duration: cython.const[cython.ulonglong][::1]
    _weight: cython.const[cython.double][::1]
    _resource: cython.const[cython.int][::1]
    _services: cython.const[cython.int][::1]
    _link_rows: cython.const[cython.longlong][::1]
    _link_keys: cython.const[cython.longlong][::1]
    _columns: tuple  # holds the arrays that the pointers below lead into
    _peers: Column[64]
    _peer_count: cython.int
    _databases: Column[64]
    _database_count: cython.int
    _next_row: cython.Py_ssize_t
    _next_link: cython.Py_ssize_t

    def __cinit__(
        self,
        *,
        arrival_ns: cython.longlong,
        kind: object,
        status: object,
        trace_id: object,
        span_id: object,
        parent_id: object,
        duration: object,
        weight: object,
        resource: object,
        services: object,
        peers: tuple,
        databases: tuple,
        link_rows: object,
        link_keys: object,
    ) -> None:
        self._arrival = arrival_ns
        self._kind = kind
        self._status = status
        self._trace_id = trace_id
        self._span_id = span_id
        self._parent_id = parent_id
        self._duration = duration
        self._weight = weight
        self._resource = resource
        self._services = services
        self._link_rows = link_rows
        self._link_keys = link_keys
        self._columns = (peers, databases)
        n: cython.Py_ssize_t = self._kind.shape[0]
        self._rows = n
        lengths = (
            self._status.shape[0] == n
            and self._trace_id.shape[0] == n
            and self._trace_id.shape[1] == 16
            and self._span_id.shape[0] == n
            and self._span_id.shape[1] == 8
            and self._parent_id.shape[0] == n
            and self._parent_id.shape[1] == 8
            and self._duration.shape[0] == n
            and self._weight.shape[0] == n
            and self._link_rows.shape[0] == self._link_keys.shape[0]
        )
        if not lengths:
            raise ValueError("the columns of a batch differ in length")
        if len(peers) > MOST_ATTRIBUTES or len(databases) > MOST_ATTRIBUTES:
            raise ValueError("a service graph reads at most 64 attributes")
        _check_codes(self._resource, n, 0, self._services.shape[0])
        for codes, names in peers:
            self._peers[self._peer_count] = _column(codes, names, n)
            self._peer_count += 1
        for codes in databases:
            self._databases[self._database_count] = _column(codes, None, n)
            self._database_count += 1

    def fill_sides(
        self,
        sides: cython.longlong[:, ::1],
        ends: cython.longlong[:, ::1],
        limit: cython.Py_ssize_t,
    ) -> tuple:
        """Write the next sides, at most `limit`, and the ends that they have.

        Both are records of 48 bytes: (limit, 6) and (limit + links, 6), or more. Returns how many
        of both there are; no sides means that all rows are read. Ends by parent come first, then
        those by link.
        """
        if sides.shape[0] < limit or sides.shape[1] != 6 or ends.shape[1] != 6:
            raise ValueError("there is no room for so many sides")
        if ends.shape[0] < limit + self._link_rows.shape[0]:
            raise ValueError("there is no room for the ends of so many sides")
        if limit <= 0:
            return 0, 0
        return self._fill(
            cython.cast(cython.pointer(Side), cython.address(sides[0, 0])),
            cython.cast(cython.pointer(Side), cython.address(ends[0, 0])),
            limit,
        )

    # Every column is n long and every code has a value: checked when they came.
    @cython.cfunc
    @cython.boundscheck(False)
    def _fill(
        self,
        sides: cython.pointer(Side),
        ends: cython.pointer(Side),
        limit: cython.Py_ssize_t,
    ) -> tuple:
        row: cython.Py_ssize_t = self._next_row
        kind: cython.int
        trace_hash: cython.ulonglong
        side: cython.pointer(Side)
        by_link: cython.pointer(Side) = ends + limit
        side_count: cython.Py_ssize_t = 0
        end_count: cython.Py_ssize_t = 0
        link_count: cython.Py_ssize_t = 0
        links: cython.Py_ssize_t
        while row < self._rows and side_count < limit:
            kind = self._kind[row]
            if kind < _SERVER or kind > _CONSUMER:
                row += 1
                continue
            side = sides + side_count
            trace_hash = _mixed(
                _mixed(_word(cython.address(self._trace_id[row, 0])))
                ^ _word(cython.address(self._trace_id[row, 8]))
            )
            side.key = _key(trace_hash, _word(cython.address(self._span_id[row, 0])))
            side.arrival = self._arrival
            side.duration = self._duration[row]
            side.weight = self._weight[row]
            side.service = self._services[self._resource[row]]
            side.other = NO_NAME
            side.flags = FAILED if self._status[row] == _ERROR else 0
            if kind in (_PRODUCER, _CONSUMER):
                side.flags |= MESSAGING
            if kind in (_CLIENT, _PRODUCER):
                side.flags |= CLIENT
                if self._calls_database(row):
                    side.flags |= CALLS_DATABASE
                side.other = self._peer(row)
            else:
                links = 0
                if kind == _CONSUMER:
                    links = self._fill_links(row, side, side_count, by_link + link_count)
                ends[end_count] = side[0]
                ends[end_count].other = side_count
                end_count += self._fill_parent(
                    row, trace_hash, ends + end_count, by_link + link_count, links
                )
                link_count += links
                if links == 0 and _word(cython.address(self._parent_id[row, 0])) == 0:
                    side.flags |= ROOT
                    if kind == _CONSUMER:
                        side.other = self._peer(row)
            side_count += 1
            row += 1
        memmove(ends + end_count, by_link, link_count * cython.sizeof(Side))
        self._next_row = row
        return side_count, end_count + link_count

    @cython.cfunc
    @cython.boundscheck(False)
    @cython.exceptval(check=False)
    def _fill_links(
        self,
        row: cython.Py_ssize_t,
        side: cython.pointer(Side),
        index: cython.Py_ssize_t,
        ends: cython.pointer(Side),
    ) -> cython.Py_ssize_t:
        """Write an end for each link of a consumer; returns how many."""
        links: cython.Py_ssize_t = 0
        while self._next_link < self._link_rows.shape[0]:
            if self._link_rows[self._next_link] > row:
                break
            if self._link_rows[self._next_link] == row:
                ends[links] = side[0]
                ends[links].key = self._link_keys[self._next_link]
                ends[links].other = index
                links += 1
            self._next_link += 1
        return links

    @cython.cfunc
    @cython.boundscheck(False)
    @cython.exceptval(check=False)
    def _fill_parent(
        self,
        row: cython.Py_ssize_t,
        trace_hash: cython.ulonglong,
        end: cython.pointer(Side),
        linked: cython.pointer(Side),
        links: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:
        """Complete the end that a parent is, unless it is linked too; returns how many: 0 or 1."""
        i: cython.Py_ssize_t
        parent: cython.ulonglong = _word(cython.address(self._parent_id[row, 0]))
        if parent == 0:
            return 0
        end.key = _key(trace_hash, parent)
        if links:
            end.flags |= PRODUCER_ONLY
        for i in range(links):
            if linked[i].key == end.key:
                return 0
        return 1

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _peer(self, row: cython.Py_ssize_t) -> cython.int:
        """The name of a row's peer: the first that its attributes give, or NO_NAME."""
        i: cython.int
        code: cython.int
        for i in range(self._peer_count):
            code = self._peers[i].codes[row]
            if code >= 0 and self._peers[i].names[code] != NO_NAME:
                return self._peers[i].names[code]
        return NO_NAME

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _calls_database(self, row: cython.Py_ssize_t) -> cython.bint:
        i: cython.int
        for i in range(self._database_count):  # noqa: SIM110 - a loop in C
            if self._databases[i].codes[row] >= 0:
                return True
        return False


@cython.cfunc
def _column(codes: object, names: object, rows: cython.Py_ssize_t) -> Column:
    """The pointers of a column whose codes are checked; the arrays must outlive them."""
    code_view: cython.const[cython.int][::1] = codes
    name_view: cython.const[cython.int][::1]
    column = cython.declare(Column)
    column.codes = cython.NULL
    column.names = cython.NULL
    values: cython.Py_ssize_t = 1 << 30
    if names is not None:
        name_view = names
        values = name_view.shape[0]
        if values:
            column.names = cython.address(name_view[0])
    _check_codes(code_view, rows, -1, values)
    if rows:
        column.codes = cython.address(code_view[0])
    return column


@cython.cfunc
@cython.boundscheck(False)  # the loop ends with the array
@cython.exceptval(-1, check=False)
def _check_codes(
    codes: cython.const[cython.int][::1],
    rows: cython.Py_ssize_t,
    least: cython.int,
    values: cython.Py_ssize_t,
) -> cython.int:
    if codes.shape[0] != rows:
        raise ValueError("the columns of a batch differ in length")
    wrong: cython.bint = False
    i: cython.Py_ssize_t
    for i in range(rows):
        wrong |= (codes[i] < least) | (codes[i] >= values)
    if wrong:
        raise ValueError("a column of a batch has a code without a value")
    return 0


def number_keys(
    keys: cython.longlong[::1], distinct: cython.longlong[::1], counts: cython.longlong[::1]
) -> int:
    """Number keys by their first one: all of shape (n,), `keys` becomes their numbers.

    `distinct` gets the keys in the order of their numbers, `counts` how often each is there.
    Returns how many there are.
    """
    n: cython.Py_ssize_t = keys.shape[0]
    if distinct.shape[0] != n or counts.shape[0] != n:
        raise ValueError("there is no room for the keys")
    size: cython.ulonglong = 64
    while size < 2 * cython.cast(cython.ulonglong, n):
        size *= 2
    slots: cython.p_longlong = cython.cast(
        cython.p_longlong, malloc(size * cython.sizeof(cython.longlong))
    )
    many: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    slot: cython.ulonglong
    if not slots:
        raise MemoryError
    memset(slots, 255, size * cython.sizeof(cython.longlong))
    for i in range(n):
        # Names are numbered as they come: nobody can choose keys that meet.
        slot = _mixed(cython.cast(cython.ulonglong, keys[i])) & (size - 1)
        while slots[slot] != NOBODY and distinct[slots[slot]] != keys[i]:
            slot = (slot + 1) & (size - 1)
        if slots[slot] == NOBODY:
            slots[slot] = many
            distinct[many] = keys[i]
            counts[many] = 0
            many += 1
        keys[i] = slots[slot]
        counts[slots[slot]] += 1
    free(slots)
    return many
