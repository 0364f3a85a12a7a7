"""Kernel: an `ExportTraceServiceRequest` in protobuf to columns, straight from its bytes.

It walks them twice: to count the spans by the lengths of what encloses them, which gives the
columns their size, then to read everything. To be read beside the .proto files of
opentelemetry-proto: `_declare_messages` is what they say. The rules are those of upb, the parser
under the protobuf library (see spans/wire.py for its limits).

Every step gives OK, or why it stops. What the library reads in a way that is not spelled out
here is IRREGULAR, and the reference reads it: see spans/compiled.py for the list. No function
below the class raises Python errors, so none that runs without the GIL can swallow one; every
read is behind a comparison with the end of the message that it belongs to.

Longer than other files, since a C compiler makes one piece only of what stands in one: the steps
from a byte to a column are taken fifty times a span. A reader goes from the messages, by fields,
to the columns.
"""

# mypy knows no C: pyproject.toml leaves this module out.
import cython
from cython.cimports.cpython.bytearray import PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memcmp, memcpy, memset

SOURCE_SHA256: str = ""

Bytes = cython.typedef(cython.pointer(uint8_t))

# Why a step stops.
OK = cython.declare(cython.int, 0)
BAD = cython.declare(cython.int, 1)
IRREGULAR = cython.declare(cython.int, 2)
TOO_MANY = cython.declare(cython.int, 3)
NO_MEMORY = cython.declare(cython.int, 4)

STATUS_IRREGULAR = IRREGULAR  # for Python to see

# What a field holds. Its rule is this number with the bits below.
TEXT = cython.declare(cython.int, 1)
RAW = cython.declare(cython.int, 2)
MESSAGE = cython.declare(cython.int, 3)
NESTED = cython.declare(cython.int, 4)  # a message that the caller reads
BOOL = cython.declare(cython.int, 5)
INT32 = cython.declare(cython.int, 6)  # enums too
UINT32 = cython.declare(cython.int, 7)
INT64 = cython.declare(cython.int, 8)
FIXED64 = cython.declare(cython.int, 9)
FIXED32 = cython.declare(cython.int, 10)

REPEATED = cython.declare(cython.int, 1 << 3)
ONEOF = cython.declare(cython.int, 1 << 4)
KIND_SHIFT = cython.declare(cython.int, 5)
CHILD_SHIFT = cython.declare(cython.int, 9)

_WIRE = {1: 2, 2: 2, 3: 2, 4: 2, 5: 0, 6: 0, 7: 0, 8: 0, 9: 1, 10: 5}

# The messages.
REQUEST = cython.declare(cython.int, 0)
RESOURCE_SPANS = cython.declare(cython.int, 1)
SCOPE_SPANS = cython.declare(cython.int, 2)
SPAN = cython.declare(cython.int, 3)
KEY_VALUE = cython.declare(cython.int, 4)
STATUS = cython.declare(cython.int, 5)
COUNTED = cython.declare(cython.int, 6)  # what the first walk reads of two messages: see below
ARRAY = cython.declare(cython.int, 7)
KVLIST = cython.declare(cython.int, 8)
ANY_VALUE = cython.declare(cython.int, 9)
RESOURCE = cython.declare(cython.int, 10)
ENTITY = cython.declare(cython.int, 11)
SCOPE = cython.declare(cython.int, 12)
EVENT = cython.declare(cython.int, 13)
LINK = cython.declare(cython.int, 14)
MESSAGES = cython.declare(cython.int, 15)

HIGHEST_FIELD = cython.declare(cython.int, 16)
RULES_EACH = cython.declare(cython.int, 17)  # fields 0 to HIGHEST_FIELD; 0 is never one
_RULES = cython.declare(uint32_t[15 * 17])  # MESSAGES * RULES_EACH, which C wants in digits

DEPRECATED_SCOPES = cython.declare(cython.int, 1000)
DEPTH = cython.declare(cython.int, 24)
"""How deep messages may stand in a span before the reference reads them (the library: 96).

A `depth` is how many levels are left: it runs downwards, and at 0 no message may follow. It begins
anew with DEPTH in whatever the walk itself reads: ResourceSpans, ScopeSpans, spans, their
attributes, and their status, which has no messages inside. NESTED fields ask for no depth: 0 will
do where there are no others.
"""


def _declare_messages() -> None:
    """Write the rules: number of the field, what it holds, and of which message."""
    assert cython.sizeof(_RULES) == MESSAGES * RULES_EACH * cython.sizeof(uint32_t)
    repeated, oneof = REPEATED, ONEOF
    messages = {
        REQUEST: {1: (NESTED, repeated)},  # resource_spans
        # Of ResourceSpans its scope_spans, of ScopeSpans its spans: both are field 2.
        COUNTED: {2: (NESTED, repeated)},
        RESOURCE_SPANS: {
            1: (MESSAGE, 0, RESOURCE),  # resource
            2: (NESTED, repeated),  # scope_spans
            3: (TEXT, 0),  # schema_url
        },
        SCOPE_SPANS: {
            1: (MESSAGE, 0, SCOPE),  # scope
            2: (NESTED, repeated),  # spans
            3: (TEXT, 0),  # schema_url
        },
        SPAN: {
            1: (RAW, 0),  # trace_id
            2: (RAW, 0),  # span_id
            3: (TEXT, 0),  # trace_state
            4: (RAW, 0),  # parent_span_id
            5: (TEXT, 0),  # name
            6: (INT32, 0),  # kind
            7: (FIXED64, 0),  # start_time_unix_nano
            8: (FIXED64, 0),  # end_time_unix_nano
            9: (NESTED, repeated),  # attributes
            10: (UINT32, 0),  # dropped_attributes_count
            11: (MESSAGE, repeated, EVENT),  # events
            12: (UINT32, 0),  # dropped_events_count
            13: (MESSAGE, repeated, LINK),  # links
            14: (UINT32, 0),  # dropped_links_count
            15: (NESTED, 0),  # status
            16: (FIXED32, 0),  # flags
        },
        KEY_VALUE: {
            1: (TEXT, 0),  # key
            2: (MESSAGE, 0, ANY_VALUE),  # value
            3: (INT32, 0),  # key_strindex
        },
        ANY_VALUE: {
            1: (TEXT, oneof),  # string_value
            2: (BOOL, oneof),  # bool_value
            3: (INT64, oneof),  # int_value
            4: (FIXED64, oneof),  # double_value
            5: (MESSAGE, oneof, ARRAY),  # array_value
            6: (MESSAGE, oneof, KVLIST),  # kvlist_value
            7: (RAW, oneof),  # bytes_value
            8: (INT32, oneof),  # string_value_strindex
        },
        ARRAY: {1: (MESSAGE, repeated, ANY_VALUE)},  # values
        KVLIST: {1: (MESSAGE, repeated, KEY_VALUE)},  # values
        RESOURCE: {
            1: (MESSAGE, repeated, KEY_VALUE),  # attributes
            2: (UINT32, 0),  # dropped_attributes_count
            3: (MESSAGE, repeated, ENTITY),  # entity_refs
        },
        ENTITY: {
            1: (TEXT, 0),  # schema_url
            2: (TEXT, 0),  # type
            3: (TEXT, repeated),  # id_keys
            4: (TEXT, repeated),  # description_keys
        },
        SCOPE: {
            1: (TEXT, 0),  # name
            2: (TEXT, 0),  # version
            3: (MESSAGE, repeated, KEY_VALUE),  # attributes
            4: (UINT32, 0),  # dropped_attributes_count
        },
        EVENT: {
            1: (FIXED64, 0),  # time_unix_nano
            2: (TEXT, 0),  # name
            3: (MESSAGE, repeated, KEY_VALUE),  # attributes
            4: (UINT32, 0),  # dropped_attributes_count
        },
        LINK: {
            1: (RAW, 0),  # trace_id
            2: (RAW, 0),  # span_id
            3: (TEXT, 0),  # trace_state
            4: (MESSAGE, repeated, KEY_VALUE),  # attributes
            5: (UINT32, 0),  # dropped_attributes_count
            6: (FIXED32, 0),  # flags
        },
        STATUS: {
            2: (TEXT, 0),  # message
            3: (INT32, 0),  # code
        },
    }
    for message, fields in messages.items():
        for number, (holds, flags, *child) in fields.items():
            rule = _WIRE[holds] | flags | holds << KIND_SHIFT
            _RULES[message * RULES_EACH + number] = rule | sum(child) << CHILD_SHIFT


_declare_messages()

Cursor = cython.struct(
    at=Bytes,  # what is left of the message stands from here
    end=Bytes,  # to here
    seen=uint32_t,  # a bit for each singular field so far; bit 0 for the oneof
    saved=int64_t,  # bytes by which the library would write it shorter
    number=cython.int,  # the field read last; 0 if the protocol doesn't know it so
    tag_number=uint32_t,  # its number as written
    begin=Bytes,  # its content, where its length is given
    length=int64_t,
    value=uint64_t,  # its bits, where it is a number
)

Pair = cython.struct(
    key=Bytes,
    key_length=int64_t,
    value=Bytes,  # the AnyValue
    value_length=int64_t,
)

# Numbers one after the other.
Notes = cython.struct(numbers=cython.pointer(uint32_t), count=int64_t, room=int64_t)

Attribute = cython.struct(begin=Bytes, length=int64_t, given=cython.bint)


# Bytes ------------------------------------------------------------------------------------------


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
def load32(at: Bytes) -> uint32_t:
    """Four bytes, likewise."""
    word = cython.declare(uint32_t)
    memcpy(cython.address(word), at, 4)
    return word


_HIGH_BITS = cython.declare(uint64_t, 0x8080808080808080)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_ascii(at: Bytes, length: int64_t) -> cython.bint:
    """Eight bytes at a time; the last eight may overlap those before."""
    bits: uint64_t = 0
    i: int64_t = 0
    if length >= 8:
        while i + 8 < length:
            bits |= load64(at + i)
            i += 8
        bits |= load64(at + length - 8)
    elif length >= 4:
        bits = load32(at) | load32(at + length - 4)
    else:
        while i < length:
            bits |= at[i]
            i += 1
    return (bits & _HIGH_BITS) == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_utf8(at: Bytes, length: int64_t) -> cython.bint:
    """Whether it is UTF-8 by RFC 3629: nothing overlong, no surrogates, up to U+10FFFF."""
    end: Bytes = at + length
    more: cython.int
    i: cython.int
    while at < end:
        lead: uint8_t = at[0]
        if lead < 0x80:
            at += 1
            continue
        if lead < 0xC2 or lead > 0xF4:
            return False
        more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        if end - at <= more:
            return False
        second: uint8_t = at[1]
        if (lead == 0xE0 and second < 0xA0) or (lead == 0xED and second >= 0xA0):
            return False
        if (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second >= 0x90):
            return False
        for i in range(1, more + 1):
            if (at[i] & 0xC0) != 0x80:
                return False
        at += more + 1
    return True


# Fields -----------------------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_varint(c: cython.pointer(Cursor), most: cython.int) -> cython.int:
    """Read a varint of at most `most` bytes into `value`; IRREGULAR if it is overlong."""
    value: uint64_t = 0
    byte: uint64_t
    i: cython.int
    for i in range(most):
        if c.at == c.end:
            return BAD
        byte = c.at[0]
        c.at += 1
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if (byte == 0 and i > 0) or (i == 9 and byte > 1):
                return IRREGULAR
            c.value = value
            return OK
    return BAD


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def varint_size(value: int64_t) -> int64_t:
    """How many bytes a length takes."""
    size: int64_t = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def enter(inner: cython.pointer(Cursor), begin: Bytes, length: int64_t) -> cython.void:
    """Begin to read the message that stands here."""
    inner.at = begin
    inner.end = begin + length
    inner.seen = 0
    inner.saved = 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def leave(c: cython.pointer(Cursor), inner: cython.pointer(Cursor), length: int64_t) -> cython.void:
    """Count what a message inside would be shorter, with its length before it."""
    if inner.saved:
        c.saved += inner.saved + varint_size(length) - varint_size(length - inner.saved)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def short_field(c: cython.pointer(Cursor), tag: uint8_t) -> cython.bint:
    """Read a field of this tag with 1 to 127 bytes of content; False, and nothing, if another."""
    at: Bytes = c.at
    left: int64_t = c.end - at
    if left < 3 or at[0] != tag or at[1] == 0 or at[1] >= 0x80 or at[1] > left - 2:
        return False
    c.begin = at + 2
    c.length = at[1]
    c.at = c.begin + c.length
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_plain_pair(pair: cython.pointer(Pair), begin: Bytes, length: int64_t) -> cython.bint:
    """Read a KeyValue as nearly all are: a key, then a value, both short and in ASCII.

    False for any other, which says nothing about it. The value is a string, or an integer or a
    boolean of one byte. A tag is the field's number times 8, and the wire type: 2 for content of a
    given length, 0 for a varint.
    """
    c = cython.declare(Cursor)
    enter(cython.address(c), begin, length)
    # KeyValue.key, field 1 with a length.
    if not short_field(cython.address(c), 0x0A) or not is_ascii(c.begin, c.length):
        return False
    pair.key = c.begin
    pair.key_length = c.length
    # KeyValue.value, field 2 with a length.
    if not short_field(cython.address(c), 0x12) or c.at != c.end or c.length < 2:
        return False
    pair.value = c.begin
    pair.value_length = c.length
    if c.begin[1] >= 0x80:
        return False
    # AnyValue.string_value, field 1 with a length.
    if c.begin[0] == 0x0A:
        return c.begin[1] == c.length - 2 and is_ascii(c.begin + 2, c.length - 2)
    # AnyValue.int_value, field 3, and AnyValue.bool_value, field 2: varints.
    return c.length == 2 and (c.begin[0] == 0x18 or (c.begin[0] == 0x10 and c.begin[1] <= 1))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_pair(
    c: cython.pointer(Cursor), pair: cython.pointer(Pair), depth: cython.int
) -> cython.int:
    """Read the KeyValue that is the content of the field read last."""
    inner = cython.declare(Cursor)
    status: cython.int
    length: int64_t = c.length
    if is_plain_pair(pair, c.begin, length):
        return OK
    pair.key = c.begin
    pair.key_length = 0
    pair.value = c.begin
    pair.value_length = 0
    enter(cython.address(inner), c.begin, length)
    while inner.at < inner.end:
        status = next_field(cython.address(inner), KEY_VALUE, depth)
        if status:
            return status
        if inner.number == 1:
            pair.key = inner.begin
            pair.key_length = inner.length
        elif inner.number == 2:
            pair.value = inner.begin
            pair.value_length = inner.length
    leave(c, cython.address(inner), length)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def check_message(c: cython.pointer(Cursor), message: cython.int, depth: cython.int) -> cython.int:
    """Read all of the message that is the content of the field read last."""
    inner = cython.declare(Cursor)
    pair = cython.declare(Pair)
    status: cython.int
    if depth == 0:
        return IRREGULAR
    if message == KEY_VALUE:
        return read_pair(c, cython.address(pair), depth - 1)
    length: int64_t = c.length
    enter(cython.address(inner), c.begin, length)
    while inner.at < inner.end:
        status = next_field(cython.address(inner), message, depth - 1)
        if status:
            return status
    leave(c, cython.address(inner), length)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def next_field(c: cython.pointer(Cursor), message: cython.int, depth: cython.int) -> cython.int:
    """Read a field whole, with all that stands in it; there must be a byte left."""
    start: Bytes = c.at
    status: cython.int
    value: uint64_t = c.at[0]
    if value < 0x80:
        c.at += 1
    else:
        status = read_varint(c, 5)
        if status:
            return status
        value = c.value
        if value >> 32:
            return BAD
    number: uint32_t = cython.cast(uint32_t, value >> 3)
    wire: cython.int = value & 7
    if number == 0:
        return BAD
    if wire == 2:
        if c.at == c.end:
            return BAD
        value = c.at[0]
        if value < 0x80:
            c.at += 1
        else:
            status = read_varint(c, 5)
            if status:
                return status
            value = c.value
        if value > cython.cast(uint64_t, c.end - c.at):
            return BAD
        c.begin = c.at
        c.length = value
        c.at += c.length
    elif wire == 0:
        status = read_varint(c, 10)
        if status:
            return status
    elif wire == 1:
        if c.end - c.at < 8:
            return BAD
        c.value = load64(c.at)
        c.at += 8
    elif wire == 5:
        if c.end - c.at < 4:
            return BAD
        c.value = load32(c.at)
        c.at += 4
    elif wire > 5:
        return BAD
    else:
        return IRREGULAR  # groups
    c.number = 0
    c.tag_number = number
    if number > cython.cast(uint32_t, HIGHEST_FIELD):
        return OK
    rule: uint32_t = _RULES[message * RULES_EACH + number]
    if rule == 0 or (rule & 7) != wire:
        return OK
    c.number = number
    if not rule & REPEATED:
        bit: uint32_t = 1 if rule & ONEOF else cython.cast(uint32_t, 1) << number
        if c.seen & bit:
            return IRREGULAR
        c.seen |= bit
    kind: cython.int = (rule >> KIND_SHIFT) & 15
    default: cython.bint
    if wire == 2:
        if kind == TEXT:
            if not is_ascii(c.begin, c.length) and not is_utf8(c.begin, c.length):
                return BAD
        elif kind == MESSAGE:
            return check_message(c, rule >> CHILD_SHIFT, depth)
        elif kind == NESTED:
            return OK
        default = c.length == 0
    else:
        value = c.value
        if kind == INT32:
            if value != cython.cast(uint64_t, cython.cast(int64_t, cython.cast(int32_t, value))):
                return IRREGULAR
        elif (kind == BOOL and value > 1) or (kind == UINT32 and value >> 32):
            return IRREGULAR
        default = value == 0
    if default and not rule & (REPEATED | ONEOF):
        c.saved += c.at - start
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_status(c: cython.pointer(Cursor), code: cython.pointer(uint64_t)) -> cython.int:
    """Read a Status; its code is 0 where it has none."""
    inner = cython.declare(Cursor)
    status: cython.int
    enter(cython.address(inner), c.begin, c.length)
    while inner.at < inner.end:
        status = next_field(cython.address(inner), STATUS, DEPTH)
        if status:
            return status
        if inner.number == 3:
            code[0] = inner.value
    leave(c, cython.address(inner), c.length)
    return OK


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def note(notes: cython.pointer(Notes), number: int64_t) -> cython.bint:
    """Add a number; False without memory."""
    if notes.count == notes.room:
        room: int64_t = 2 * notes.room + 64
        numbers = cython.cast(
            cython.pointer(uint32_t), realloc(notes.numbers, room * cython.sizeof(uint32_t))
        )
        if numbers == cython.NULL:
            return False
        notes.numbers = numbers
        notes.room = room
    notes.numbers[notes.count] = cython.cast(uint32_t, number)
    notes.count += 1
    return True


@cython.cfunc
def noted(notes: cython.pointer(Notes)) -> bytearray:
    """The numbers for Python."""
    if notes.count == 0:
        return bytearray()
    return PyByteArray_FromStringAndSize(cython.cast(cython.p_char, notes.numbers), 4 * notes.count)


# Columns ----------------------------------------------------------------------------------------

# Where each column begins in their piece of memory, in bytes for each span that there is room for.
START_AT = cython.declare(cython.int, 0)
END_AT = cython.declare(cython.int, 8)
DURATION_AT = cython.declare(cython.int, 16)
SIZE_AT = cython.declare(cython.int, 24)
SPAN_START_AT = cython.declare(cython.int, 32)
SPAN_LENGTH_AT = cython.declare(cython.int, 40)
WEIGHT_AT = cython.declare(cython.int, 48)
TRACE_ID_AT = cython.declare(cython.int, 56)
SPAN_ID_AT = cython.declare(cython.int, 72)
PARENT_ID_AT = cython.declare(cython.int, 80)
KIND_AT = cython.declare(cython.int, 88)
STATUS_AT = cython.declare(cython.int, 89)
LINKED_AT = cython.declare(cython.int, 90)
BYTES_A_SPAN = cython.declare(cython.int, 91)

# For spans/compiled.py, which reads neighbours of one type together: they begin at the first.
COLUMNS = {
    "times": START_AT,  # start, end, duration
    "sizes": SIZE_AT,  # size, span_start, span_length
    "weight": WEIGHT_AT,
    "trace_id": TRACE_ID_AT,
    "span_ids": SPAN_ID_AT,  # span_id, parent_id
    "small": KIND_AT,  # kind, status, linked
}

# The columns of values, of which it is noted where they stand in the body.
RESOURCE_PLACES = cython.declare(cython.int, 0)
SCOPE_PLACES = cython.declare(cython.int, 1)
NAME_PLACES = cython.declare(cython.int, 2)
FIRST_ATTRIBUTE = cython.declare(cython.int, 3)

ABSENT_PLACE = cython.declare(uint32_t, 0xFFFFFFFF)


@cython.final
@cython.cclass
class SpanWalker:
    """What all walks of a decoder share; nothing of it changes once it is made.

    `attributes` are the keys of the columns, each once, in UTF-8; `most_messages` is
    MAX_MESSAGES of spans/wire.py.
    """

    attributes: tuple
    columns: cython.int
    keys: cython.pointer(Attribute)  # where each attribute's key stands
    next_key: cython.p_int  # the next one of the same length, or -1
    by_length: cython.int[257]  # the first key of each length; the last is for longer ones
    most_messages: cython.int

    def __cinit__(self, attributes: tuple, most_messages: cython.int) -> None:
        i: cython.int
        self.attributes = attributes
        self.columns = len(attributes)
        self.most_messages = most_messages
        self.keys = cython.cast(
            cython.pointer(Attribute), calloc(self.columns + 1, cython.sizeof(Attribute))
        )
        self.next_key = cython.cast(
            cython.p_int, calloc(self.columns + 1, cython.sizeof(cython.int))
        )
        if not (self.keys and self.next_key):
            raise MemoryError
        for i in range(257):
            self.by_length[i] = -1
        for i in range(self.columns):
            key: bytes = attributes[i]
            self.keys[i].begin = cython.cast(Bytes, PyBytes_AS_STRING(key))
            self.keys[i].length = len(key)
            of_length: cython.int = min(len(key), 256)
            self.next_key[i] = self.by_length[of_length]
            self.by_length[of_length] = i

    def __dealloc__(self) -> None:
        free(self.keys)
        free(self.next_key)

    def walk(self, body: bytes) -> object:
        """The columns of a request, or the status that stopped the walk (BAD …, as an int).

        A tuple: the accepted spans m; room for n spans (all that the request has), m ≤ n; the
        columns of COLUMNS, of n entries each (start, end, duration: unsigned 64 bits; size,
        span_start, span_length: signed ones; weight: doubles, all 1; trace, span and parent ids:
        16, 8 and 8 bytes; kind, status, linked: 8 bits); where
        the values of resource, scope, name and attributes stand, a column after the other (two
        32-bit numbers for each of n rows, offset and length; an offset of 2^32 - 1 is none);
        the rows with a trace state and where it stands (three 32-bit numbers); the rejected
        spans by their number among all (32 bits); how many of them for their trace id, and how
        many for their span id.

        The GIL is not held while the bytes are walked.
        """
        walk: Walk = Walk(self, body)
        status: cython.int
        with cython.nogil:
            status = walk.count_messages()
        if status == OK:
            columns = PyByteArray_FromStringAndSize(cython.NULL, BYTES_A_SPAN * walk.spans)
            places = PyByteArray_FromStringAndSize(
                cython.NULL, 8 * (FIRST_ATTRIBUTE + self.columns) * walk.spans
            )
            walk.carve(cython.cast(Bytes, PyByteArray_AS_STRING(columns)))
            walk.places = cython.cast(cython.pointer(uint32_t), PyByteArray_AS_STRING(places))
            with cython.nogil:
                status = walk.read_request()
        if status == NO_MEMORY:
            raise MemoryError
        if status:
            return status
        return (
            *(walk.rows, walk.spans, columns, places),
            *(noted(cython.address(walk.states)), noted(cython.address(walk.rejected))),
            *(walk.bad_trace_ids, walk.bad_span_ids),
        )


@cython.final
@cython.cclass
class Walk:
    """One walk over one request; what it has malloc'd goes with it."""

    walker: SpanWalker
    held: bytes
    body: Bytes
    length: int64_t
    spans: int64_t
    seen: int64_t
    rows: int64_t
    start: cython.pointer(uint64_t)
    end: cython.pointer(uint64_t)
    duration: cython.pointer(uint64_t)
    size: cython.pointer(int64_t)
    span_start: cython.pointer(int64_t)
    span_length: cython.pointer(int64_t)
    weight: cython.p_double
    trace_id: Bytes
    span_id: Bytes
    parent_id: Bytes
    kind: Bytes
    status: Bytes
    linked: Bytes
    places: cython.pointer(uint32_t)
    attributes: cython.pointer(Attribute)  # those of the span that is being read
    states: Notes
    rejected: Notes
    bad_trace_ids: int64_t
    bad_span_ids: int64_t

    def __cinit__(self, walker: SpanWalker, body: bytes) -> None:
        self.walker = walker
        self.held = body
        self.body = cython.cast(Bytes, PyBytes_AS_STRING(body))
        self.length = PyBytes_GET_SIZE(body)
        self.attributes = cython.cast(
            cython.pointer(Attribute), calloc(walker.columns + 1, cython.sizeof(Attribute))
        )
        if self.attributes == cython.NULL:
            raise MemoryError

    def __dealloc__(self) -> None:
        free(self.attributes)
        free(self.states.numbers)
        free(self.rejected.numbers)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count_messages(self) -> cython.int:
        """Count the spans, by the lengths of what encloses them; TOO_MANY as soon as it is so."""
        request = cython.declare(Cursor)
        resource = cython.declare(Cursor)
        scope = cython.declare(Cursor)
        status: cython.int
        left: cython.int = self.walker.most_messages
        enter(cython.address(request), self.body, self.length)
        while request.at < request.end:
            status = next_field(cython.address(request), REQUEST, 0)
            if status:
                return status
            if request.number == 0:
                continue
            left -= 1
            enter(cython.address(resource), request.begin, request.length)
            while resource.at < resource.end:
                status = next_field(cython.address(resource), COUNTED, 0)
                if status:
                    return status
                if resource.tag_number == DEPRECATED_SCOPES:
                    return IRREGULAR
                if resource.number == 0:
                    continue
                left -= 1
                enter(cython.address(scope), resource.begin, resource.length)
                while scope.at < scope.end and left >= 0:
                    status = next_field(cython.address(scope), COUNTED, 0)
                    if status:
                        return status
                    if scope.number:
                        left -= 1
                        self.spans += 1
                if left < 0:
                    return TOO_MANY
            if left < 0:
                return TOO_MANY
        return OK

    @cython.cfunc
    def carve(self, columns: Bytes) -> cython.void:
        """Lay out the columns in a piece of memory of their size."""
        n: int64_t = self.spans
        self.start = cython.cast(cython.pointer(uint64_t), columns + START_AT * n)
        self.end = cython.cast(cython.pointer(uint64_t), columns + END_AT * n)
        self.duration = cython.cast(cython.pointer(uint64_t), columns + DURATION_AT * n)
        self.size = cython.cast(cython.pointer(int64_t), columns + SIZE_AT * n)
        self.span_start = cython.cast(cython.pointer(int64_t), columns + SPAN_START_AT * n)
        self.span_length = cython.cast(cython.pointer(int64_t), columns + SPAN_LENGTH_AT * n)
        self.weight = cython.cast(cython.p_double, columns + WEIGHT_AT * n)
        self.trace_id = columns + TRACE_ID_AT * n
        self.span_id = columns + SPAN_ID_AT * n
        self.parent_id = columns + PARENT_ID_AT * n
        self.kind = columns + KIND_AT * n
        self.status = columns + STATUS_AT * n
        self.linked = columns + LINKED_AT * n

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_request(self) -> cython.int:
        """Read every ResourceSpans."""
        c = cython.declare(Cursor)
        status: cython.int
        enter(cython.address(c), self.body, self.length)
        while c.at < c.end:
            status = next_field(cython.address(c), REQUEST, 0)
            if status == OK and c.number:
                status = self.read_resource_spans(c.begin, c.length)
            if status:
                return status
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_resource_spans(self, begin: Bytes, length: int64_t) -> cython.int:
        """Read a ResourceSpans; its resource may come after its scopes, or not at all."""
        c = cython.declare(Cursor)
        status: cython.int
        before: int64_t = self.rows
        resource: Bytes = begin
        resource_length: int64_t = 0
        enter(cython.address(c), begin, length)
        while c.at < c.end:
            status = next_field(cython.address(c), RESOURCE_SPANS, DEPTH)
            if status:
                return status
            if c.number == 1:
                resource = c.begin
                resource_length = c.length
            elif c.number == 2:
                status = self.read_scope_spans(c.begin, c.length)
                if status:
                    return status
        self.fill(RESOURCE_PLACES, before, resource, resource_length)
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_scope_spans(self, begin: Bytes, length: int64_t) -> cython.int:
        """Read a ScopeSpans, likewise."""
        c = cython.declare(Cursor)
        status: cython.int
        before: int64_t = self.rows
        scope: Bytes = begin
        scope_length: int64_t = 0
        enter(cython.address(c), begin, length)
        while c.at < c.end:
            status = next_field(cython.address(c), SCOPE_SPANS, DEPTH)
            if status:
                return status
            if c.number == 1:
                scope = c.begin
                scope_length = c.length
            elif c.number == 2:
                status = self.read_span(c.begin, c.length)
                if status:
                    return status
        self.fill(SCOPE_PLACES, before, scope, scope_length)
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def place(self, column: cython.int, row: int64_t, at: Bytes, length: int64_t) -> cython.void:
        """Note where the value of a row stands."""
        place: cython.pointer(uint32_t) = self.places + 2 * (column * self.spans + row)
        place[0] = cython.cast(uint32_t, at - self.body)
        place[1] = cython.cast(uint32_t, length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def fill(self, column: cython.int, first: int64_t, at: Bytes, length: int64_t) -> cython.void:
        """Give the rows from `first` on this value."""
        row: int64_t
        for row in range(first, self.rows):
            self.place(column, row, at, length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_span(self, begin: Bytes, length: int64_t) -> cython.int:
        """Read a span, and make it a row if its ids are valid."""
        c = cython.declare(Cursor)
        status: cython.int
        trace_id: Bytes = cython.NULL
        span_id: Bytes = cython.NULL
        parent_id: Bytes = cython.NULL
        name: Bytes = begin
        name_length: int64_t = 0
        kind: uint64_t = 0
        code: uint64_t = 0
        started: uint64_t = 0
        ended: uint64_t = 0
        state: Bytes = begin
        state_length: int64_t = 0
        linked: cython.bint = False
        trace_id_length: int64_t = 0
        span_id_length: int64_t = 0
        row: int64_t = self.rows
        i: cython.int
        if self.seen == self.spans:
            return IRREGULAR  # cannot be: they were counted
        memset(self.attributes, 0, self.walker.columns * cython.sizeof(Attribute))
        enter(cython.address(c), begin, length)
        while c.at < c.end:
            if short_field(cython.address(c), 0x4A):  # attributes, field 9 with a length
                status = self.read_attribute(cython.address(c))
                if status:
                    return status
                continue
            status = next_field(cython.address(c), SPAN, DEPTH)
            if status:
                return status
            if c.number == 9:
                status = self.read_attribute(cython.address(c))
                if status:
                    return status
            elif c.number == 1:
                trace_id = c.begin
                trace_id_length = c.length
            elif c.number == 2:
                span_id = c.begin
                span_id_length = c.length
            elif c.number == 3:
                state = c.begin
                state_length = c.length
            elif c.number == 4:
                if c.length == 8:
                    parent_id = c.begin
            elif c.number == 5:
                name = c.begin
                name_length = c.length
            elif c.number == 6:
                kind = c.value
            elif c.number == 7:
                started = c.value
            elif c.number == 8:
                ended = c.value
            elif c.number == 13:
                linked = True
            elif c.number == 15:
                status = read_status(cython.address(c), cython.address(code))
                if status:
                    return status
        self.seen += 1
        if trace_id_length != 16 or load64(trace_id) | load64(trace_id + 8) == 0:
            self.bad_trace_ids += 1
            return self.reject()
        if span_id_length != 8 or load64(span_id) == 0:
            self.bad_span_ids += 1
            return self.reject()
        self.start[row] = started
        self.end[row] = ended
        self.duration[row] = ended - started if ended > started else 0
        self.size[row] = length - c.saved
        self.span_start[row] = begin - self.body
        self.span_length[row] = length
        self.weight[row] = 1
        memcpy(self.trace_id + 16 * row, trace_id, 16)
        memcpy(self.span_id + 8 * row, span_id, 8)
        if parent_id:
            memcpy(self.parent_id + 8 * row, parent_id, 8)
        else:
            memset(self.parent_id + 8 * row, 0, 8)
        self.kind[row] = kind if kind <= 5 else 0
        self.status[row] = code if code <= 2 else 0
        self.linked[row] = linked
        self.place(NAME_PLACES, row, name, name_length)
        for i in range(self.walker.columns):
            if self.attributes[i].given:
                attribute: cython.pointer(Attribute) = self.attributes + i
                self.place(FIRST_ATTRIBUTE + i, row, attribute.begin, attribute.length)
            else:
                self.places[2 * ((FIRST_ATTRIBUTE + i) * self.spans + row)] = ABSENT_PLACE
        self.rows += 1
        if state_length:
            return self.note_state(row, state, state_length)
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_attribute(self, c: cython.pointer(Cursor)) -> cython.int:
        """Read a KeyValue of a span; the first value of a key counts."""
        pair = cython.declare(Pair)
        status: cython.int = read_pair(c, cython.address(pair), DEPTH)
        if status:
            return status
        i: cython.int = self.walker.by_length[pair.key_length if pair.key_length < 256 else 256]
        while i >= 0:
            known: cython.pointer(Attribute) = self.walker.keys + i
            if known.length == pair.key_length and (
                memcmp(known.begin, pair.key, pair.key_length) == 0
            ):
                if not self.attributes[i].given:
                    self.attributes[i].given = True
                    self.attributes[i].begin = pair.value
                    self.attributes[i].length = pair.value_length
                return OK
            i = self.walker.next_key[i]
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def note_state(self, row: int64_t, at: Bytes, length: int64_t) -> cython.int:
        """Note that a row has a trace state."""
        states: cython.pointer(Notes) = cython.address(self.states)
        if note(states, row) and note(states, at - self.body) and note(states, length):
            return OK
        return NO_MEMORY

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def reject(self) -> cython.int:
        """Note that the span read last is cut out."""
        return OK if note(cython.address(self.rejected), self.seen - 1) else NO_MEMORY
