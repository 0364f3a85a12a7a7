"""Kernel: an `ExportTraceServiceRequest` in protobuf to columns, in one walk over its bytes.

To be read beside the .proto files of opentelemetry-proto: `MESSAGES` is what they say. The rules
are those of upb, the parser under the protobuf library (see spans/wire.py for its limits).

Every step gives OK, or why it stops. What the library reads in a way that is not spelled out
here is IRREGULAR, and the reference reads it: see spans/compiled.py for the list. No function
below the class raises Python errors, so none that runs without the GIL can swallow one; every
read is behind a comparison with the end of the message that it belongs to.

One file although it is long: a C compiler inlines what stands together, and a reader goes from
the bytes at the top to the columns at the end.

Hashing is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with a
key of the process, so nobody outside can choose values that collide.
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

REQUEST = cython.declare(cython.int, 0)
RESOURCE_SPANS = cython.declare(cython.int, 1)
SCOPE_SPANS = cython.declare(cython.int, 2)
SPAN = cython.declare(cython.int, 3)
KEY_VALUE = cython.declare(cython.int, 4)
STATUS = cython.declare(cython.int, 5)
COUNTED = cython.declare(cython.int, 6)  # ResourceSpans and ScopeSpans while spans are counted

HIGHEST_FIELD = cython.declare(cython.int, 16)
_RULES_EACH = cython.declare(cython.int, 17)
_RULES = cython.declare(uint32_t[17 * 15])

DEPRECATED_SCOPES = cython.declare(cython.int, 1000)
DEPTH = cython.declare(cython.int, 24)
"""How deep messages may stand in a span before the reference reads them (the library: 96)."""


def _declare_messages() -> None:
    """Write the rules: number of the field, what it holds, and of which message."""
    repeated, oneof = REPEATED, ONEOF
    array, kvlist, any_value, resource, entity, scope, event, link = range(7, 15)
    messages = {
        REQUEST: {1: (NESTED, repeated)},
        COUNTED: {2: (NESTED, repeated)},
        RESOURCE_SPANS: {1: (MESSAGE, 0, resource), 2: (NESTED, repeated), 3: (TEXT, 0)},
        SCOPE_SPANS: {1: (MESSAGE, 0, scope), 2: (NESTED, repeated), 3: (TEXT, 0)},
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
            11: (MESSAGE, repeated, event),
            12: (UINT32, 0),  # dropped_events_count
            13: (MESSAGE, repeated, link),
            14: (UINT32, 0),  # dropped_links_count
            15: (NESTED, 0),  # status
            16: (FIXED32, 0),  # flags
        },
        KEY_VALUE: {1: (TEXT, 0), 2: (MESSAGE, 0, any_value), 3: (INT32, 0)},
        any_value: {
            1: (TEXT, oneof),
            2: (BOOL, oneof),
            3: (INT64, oneof),
            4: (FIXED64, oneof),  # a double
            5: (MESSAGE, oneof, array),
            6: (MESSAGE, oneof, kvlist),
            7: (RAW, oneof),
            8: (INT32, oneof),  # string_value_strindex
        },
        array: {1: (MESSAGE, repeated, any_value)},
        kvlist: {1: (MESSAGE, repeated, KEY_VALUE)},
        resource: {
            1: (MESSAGE, repeated, KEY_VALUE),
            2: (UINT32, 0),
            3: (MESSAGE, repeated, entity),
        },
        entity: {1: (TEXT, 0), 2: (TEXT, 0), 3: (TEXT, repeated), 4: (TEXT, repeated)},
        scope: {1: (TEXT, 0), 2: (TEXT, 0), 3: (MESSAGE, repeated, KEY_VALUE), 4: (UINT32, 0)},
        event: {
            1: (FIXED64, 0),
            2: (TEXT, 0),
            3: (MESSAGE, repeated, KEY_VALUE),
            4: (UINT32, 0),
        },
        link: {
            1: (RAW, 0),
            2: (RAW, 0),
            3: (TEXT, 0),
            4: (MESSAGE, repeated, KEY_VALUE),
            5: (UINT32, 0),
            6: (FIXED32, 0),
        },
        STATUS: {2: (TEXT, 0), 3: (INT32, 0)},
    }
    for message, fields in messages.items():
        for number, (holds, flags, *child) in fields.items():
            rule = _WIRE[holds] | flags | holds << KIND_SHIFT
            _RULES[message * _RULES_EACH + number] = rule | sum(child) << CHILD_SHIFT


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
@cython.nogil
@cython.exceptval(check=False)
def check_message(c: cython.pointer(Cursor), message: cython.int, depth: cython.int) -> cython.int:
    """Read all of the message that is the content of the field read last."""
    inner = cython.declare(Cursor)
    status: cython.int
    if depth == 0:
        return IRREGULAR
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
    if number > 16:
        return OK
    rule: uint32_t = _RULES[message * 17 + number]
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


# Hashes and dictionaries ------------------------------------------------------------------------


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


# Sampling ---------------------------------------------------------------------------------------

_ALL = cython.declare(uint64_t, 1 << 56)
_LEAST_KEPT = cython.declare(uint64_t, 1 << 36)
_WIDE = cython.declare(uint64_t, 1 << 62)
_MAX_WEIGHT = cython.declare(cython.double, 1 << 20)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def all_over(kept: uint64_t) -> cython.double:
    """2^56 / kept, rounded correctly, as Python divides integers; at most 2^20."""
    if kept <= _LEAST_KEPT:
        return _MAX_WEIGHT
    quotient: uint64_t = _ALL // kept
    rest: uint64_t = _ALL % kept
    unit: cython.double = 1
    while quotient < _WIDE:
        rest += rest
        quotient += quotient
        unit /= 2
        if rest >= kept:
            rest -= kept
            quotient += 1
    if rest:
        quotient |= 1  # below the bits that a double has: it rounds as the whole fraction would
    return cython.cast(cython.double, quotient) * unit


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def member_weight(at: Bytes, end: Bytes) -> cython.double:
    """The weight by the threshold in the value of the member `ot` (see spans/sampling.py)."""
    while True:
        if end - at > 3 and memcmp(at, b"th:", 3) == 0:
            digit: Bytes = at + 3
            digits: cython.int = 0
            threshold: uint64_t = 0
            while digit < end and digits < 15:
                if 48 <= digit[0] <= 57:
                    threshold = threshold << 4 | (digit[0] - 48)
                elif 97 <= digit[0] <= 102:
                    threshold = threshold << 4 | (digit[0] - 87)
                else:
                    break
                digits += 1
                digit += 1
            if 1 <= digits <= 14:
                after: Bytes = digit
                while after < end and (after[0] == 32 or after[0] == 9):
                    after += 1
                last_line: cython.bint = end - after == 1 and after[0] == 10
                if after == end or last_line or digit[0] == 59:
                    return all_over(_ALL - (threshold << (4 * (14 - digits))))
        while at < end and at[0] != 59:  # ;
            at += 1
        if at == end:
            return 1.0
        at += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def state_weight(at: Bytes, length: int64_t) -> cython.double:
    """How many spans one with this trace state stands for."""
    end: Bytes = at + length
    while True:
        stop: Bytes = at
        while stop < end and stop[0] != 44:  # ,
            stop += 1
        while at < stop and (at[0] == 32 or at[0] == 9):
            at += 1
        if stop - at >= 3 and memcmp(at, b"ot=", 3) == 0:
            return member_weight(at + 3, stop)
        if stop == end:
            return 1.0
        at = stop + 1


# Columns ----------------------------------------------------------------------------------------

_RESOURCE = cython.declare(cython.int, 0)
_SCOPE = cython.declare(cython.int, 1)
_NAME = cython.declare(cython.int, 2)
_FIRST_ATTRIBUTE = cython.declare(cython.int, 3)


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
class SpanKernel:
    """What all walks of a decoder share; nothing of it changes once it is made.

    `attributes` are the keys of the columns, each once; `group_by` are indices into them.
    `hash_key` has 32 bytes. `most_messages` is MAX_MESSAGES of spans/wire.py.
    """

    attributes: tuple
    columns: cython.int
    keys: cython.pointer(Attribute)  # where each attribute's key stands
    next_key: cython.pointer(cython.int)  # the next one of the same length, or -1
    by_length: cython.int[257]  # the first key of each length; the last is for longer ones
    group_columns: cython.pointer(cython.int)
    grouped: cython.int
    hash_keys: Key[2]
    multipliers: cython.pointer(uint64_t)
    most_messages: cython.int

    def __cinit__(
        self, attributes: tuple, group_by: tuple, hash_key: bytes, most_messages: cython.int
    ) -> None:
        i: cython.int
        self.attributes = attributes
        self.columns = len(attributes)
        self.grouped = 2 + len(group_by)
        self.most_messages = most_messages
        new_key(cython.address(self.hash_keys[0]), hash_key[:16])
        new_key(cython.address(self.hash_keys[1]), hash_key[16:])
        room = self.columns + 1
        self.keys = cython.cast(cython.pointer(Attribute), calloc(room, cython.sizeof(Attribute)))
        self.next_key = cython.cast(cython.p_int, calloc(room, cython.sizeof(cython.int)))
        self.group_columns = cython.cast(
            cython.p_int, calloc(self.grouped, cython.sizeof(cython.int))
        )
        self.multipliers = cython.cast(
            cython.pointer(uint64_t), calloc(self.grouped + 1, cython.sizeof(uint64_t))
        )
        if not (self.keys and self.next_key and self.group_columns and self.multipliers):
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
        self.group_columns[0] = _RESOURCE
        self.group_columns[1] = _NAME
        for i in range(2, self.grouped):
            self.group_columns[i] = _FIRST_ATTRIBUTE + group_by[i - 2]
        for i in range(self.grouped + 1):
            number: uint64_t = i
            self.multipliers[i] = 1 | siphash(
                self.hash_keys, cython.cast(Bytes, cython.address(number)), 8
            )

    def __dealloc__(self) -> None:
        free(self.keys)
        free(self.next_key)
        free(self.group_columns)
        free(self.multipliers)

    def decode(self, body: bytes) -> object:
        """The columns of a request, or the status that stopped the walk (BAD …, as an int).

        A tuple: the accepted spans m; room for n spans (all that the request has), m ≤ n;
        the columns, of n entries each (start, end, duration, size, span_start, span_length:
        64 bits; weight: a double; trace, span and parent ids; resource, scope, name, attributes
        and groups: 32-bit codes; kind, status, linked: 8 bits); how many values each coded
        column but the last has; where they stand in the body (two 32-bit numbers each, offset
        and length); how many groups there are; their first rows, their counts, their identities
        (64, 64 and 2 x 64 bits each); the rejected spans by their number among all (32 bits
        each); how many were rejected for their trace id and for their span id.

        The GIL is not held while the bytes are walked.
        """
        walk: Walk = Walk(self, body)
        status: cython.int
        with cython.nogil:
            status = walk.count_messages()
        if status == OK:
            columns = PyByteArray_FromStringAndSize(
                cython.NULL, walk.spans * (7 * 8 + 32 + 3 + 4 * (4 + self.columns))
            )
            walk.carve(cython.cast(Bytes, PyByteArray_AS_STRING(columns)))
            with cython.nogil:
                status = walk.read_request()
                if status == OK:
                    status = walk.find_groups()
        if status == OK:
            return (walk.rows, walk.spans, columns, *walk.found())
        if status == NO_MEMORY:
            raise MemoryError
        return status


@cython.final
@cython.cclass
class Walk:
    """One walk over one request; what it has malloc'd goes with it."""

    kernel: SpanKernel
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
    codes: cython.pointer(int32_t)
    kind: Bytes
    status: Bytes
    linked: Bytes
    dictionaries: cython.pointer(Dictionary)
    attributes: cython.pointer(Attribute)  # those of the span that is being read
    groups: cython.pointer(Group)
    group_slots: cython.pointer(int32_t)
    group_words: cython.pointer(uint64_t)
    group_room: int64_t
    group_count: int64_t
    rejected: cython.pointer(uint32_t)
    rejected_room: int64_t
    bad_trace_ids: int64_t
    bad_span_ids: int64_t

    def __cinit__(self, kernel: SpanKernel, body: bytes) -> None:
        self.kernel = kernel
        self.held = body
        self.body = cython.cast(Bytes, PyBytes_AS_STRING(body))
        self.length = PyBytes_GET_SIZE(body)
        self.dictionaries = cython.cast(
            cython.pointer(Dictionary),
            calloc(_FIRST_ATTRIBUTE + kernel.columns, cython.sizeof(Dictionary)),
        )
        self.attributes = cython.cast(
            cython.pointer(Attribute), calloc(kernel.columns + 1, cython.sizeof(Attribute))
        )
        if not (self.dictionaries and self.attributes):
            raise MemoryError

    def __dealloc__(self) -> None:
        i: cython.int
        if self.dictionaries:
            for i in range(_FIRST_ATTRIBUTE + self.kernel.columns):
                free(self.dictionaries[i].values)
                free(self.dictionaries[i].slots)
        free(self.dictionaries)
        free(self.attributes)
        free(self.groups)
        free(self.group_slots)
        free(self.group_words)
        free(self.rejected)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count_messages(self) -> cython.int:
        """Count the spans, by the lengths of what encloses them; TOO_MANY as soon as it is so."""
        request = cython.declare(Cursor)
        resource = cython.declare(Cursor)
        scope = cython.declare(Cursor)
        status: cython.int
        left: cython.int = self.kernel.most_messages
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
        wide: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), columns)
        self.start = wide
        self.end = wide + n
        self.duration = wide + 2 * n
        self.size = cython.cast(cython.pointer(int64_t), wide + 3 * n)
        self.span_start = self.size + n
        self.span_length = self.size + 2 * n
        self.weight = cython.cast(cython.p_double, wide + 6 * n)
        self.trace_id = cython.cast(Bytes, wide + 7 * n)
        self.span_id = self.trace_id + 16 * n
        self.parent_id = self.span_id + 8 * n
        self.codes = cython.cast(cython.pointer(int32_t), self.parent_id + 8 * n)
        self.kind = cython.cast(Bytes, self.codes + (4 + self.kernel.columns) * n)
        self.status = self.kind + n
        self.linked = self.status + n

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
        return self.fill(_RESOURCE, before, resource, resource_length)

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
        return self.fill(_SCOPE, before, scope, scope_length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def fill(self, column: cython.int, first: int64_t, at: Bytes, length: int64_t) -> cython.int:
        """Give the rows from `first` on this value."""
        row: int64_t
        if first == self.rows:
            return OK
        code: cython.int = code_of(
            self.dictionaries + column, self.kernel.hash_keys, self.body, at, length
        )
        if code < 0:
            return NO_MEMORY
        for row in range(first, self.rows):
            self.codes[column * self.spans + row] = code
        return OK

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
        weight: cython.double = 1.0
        linked: cython.bint = False
        trace_id_length: int64_t = 0
        span_id_length: int64_t = 0
        row: int64_t = self.rows
        if self.seen == self.spans:
            return IRREGULAR  # cannot be: they were counted
        memset(self.attributes, 0, self.kernel.columns * cython.sizeof(Attribute))
        enter(cython.address(c), begin, length)
        while c.at < c.end:
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
                weight = state_weight(c.begin, c.length)
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
        self.weight[row] = weight
        memcpy(self.trace_id + 16 * row, trace_id, 16)
        memcpy(self.span_id + 8 * row, span_id, 8)
        if parent_id:
            memcpy(self.parent_id + 8 * row, parent_id, 8)
        else:
            memset(self.parent_id + 8 * row, 0, 8)
        self.kind[row] = kind if kind <= 5 else 0
        self.status[row] = code if code <= 2 else 0
        self.linked[row] = linked
        return self.add_codes(name, name_length)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def add_codes(self, name: Bytes, name_length: int64_t) -> cython.int:
        """Take the name and the attributes of the span that was read into the next row."""
        i: cython.int
        code: cython.int
        codes: cython.pointer(int32_t) = self.codes + self.rows
        keys: cython.pointer(Key) = self.kernel.hash_keys
        code = code_of(self.dictionaries + _NAME, keys, self.body, name, name_length)
        if code < 0:
            return NO_MEMORY
        codes[_NAME * self.spans] = code
        for i in range(self.kernel.columns):
            code = -1
            if self.attributes[i].given:
                code = code_of(
                    self.dictionaries + _FIRST_ATTRIBUTE + i,
                    keys,
                    self.body,
                    self.attributes[i].begin,
                    self.attributes[i].length,
                )
                if code < 0:
                    return NO_MEMORY
            codes[(_FIRST_ATTRIBUTE + i) * self.spans] = code
        self.rows += 1
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def read_attribute(self, c: cython.pointer(Cursor)) -> cython.int:
        """Read a KeyValue of a span; the first value of a key counts."""
        inner = cython.declare(Cursor)
        status: cython.int
        key: Bytes = c.begin
        key_length: int64_t = 0
        value: Bytes = c.begin
        value_length: int64_t = 0
        enter(cython.address(inner), c.begin, c.length)
        while inner.at < inner.end:
            status = next_field(cython.address(inner), KEY_VALUE, DEPTH)
            if status:
                return status
            if inner.number == 1:
                key = inner.begin
                key_length = inner.length
            elif inner.number == 2:
                value = inner.begin
                value_length = inner.length
        leave(c, cython.address(inner), c.length)
        i: cython.int = self.kernel.by_length[min(key_length, 256)]
        while i >= 0:
            known: cython.pointer(Attribute) = self.kernel.keys + i
            if known.length == key_length and memcmp(known.begin, key, key_length) == 0:
                if not self.attributes[i].given:
                    self.attributes[i].given = True
                    self.attributes[i].begin = value
                    self.attributes[i].length = value_length
                return OK
            i = self.kernel.next_key[i]
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def reject(self) -> cython.int:
        """Note that the span read last is cut out."""
        count: int64_t = self.bad_trace_ids + self.bad_span_ids
        if count > self.rejected_room:
            room: int64_t = 2 * count + 16
            rejected = cython.cast(
                cython.pointer(uint32_t), realloc(self.rejected, room * cython.sizeof(uint32_t))
            )
            if rejected == cython.NULL:
                return NO_MEMORY
            self.rejected = rejected
            self.rejected_room = room
        self.rejected[count - 1] = cython.cast(uint32_t, self.seen - 1)
        return OK

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def find_groups(self) -> cython.int:
        """Number the groups by their first rows, and give each its identity."""
        codes: cython.pointer(int32_t) = self.codes
        n: int64_t = self.spans
        group_codes: cython.pointer(int32_t) = codes + (_FIRST_ATTRIBUTE + self.kernel.columns) * n
        words: cython.pointer(uint64_t)
        row: int64_t
        i: cython.int
        code: cython.int
        self.group_words = cython.cast(
            cython.pointer(uint64_t), calloc(self.kernel.grouped + 1, cython.sizeof(uint64_t))
        )
        if self.group_words == cython.NULL or not self.grow_groups():
            return NO_MEMORY
        words = self.group_words
        for row in range(self.rows):
            word: uint64_t = cython.cast(uint64_t, self.kind[row]) << 8 | self.status[row]
            # Multilinear: the hashes are keyed, and so are the factors.
            hashed: uint64_t = self.kernel.multipliers[0] * (word + 1)
            for i in range(self.kernel.grouped):
                code = codes[self.kernel.group_columns[i] * n + row]
                if code >= 0:
                    word = self.dictionaries[self.kernel.group_columns[i]].values[code].low
                    hashed += self.kernel.multipliers[i + 1] * word
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
                self.add_group(row, hashed, words)
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
        for i in range(self.kernel.grouped):
            codes: cython.pointer(int32_t) = self.codes + self.kernel.group_columns[i] * self.spans
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
    def add_group(
        self, row: int64_t, hashed: uint64_t, words: cython.pointer(uint64_t)
    ) -> cython.void:
        """Begin a group; its identity is a hash, under either key, of the hashes of its values."""
        half: cython.int
        i: cython.int
        identity = cython.declare(uint64_t[2])
        value: cython.pointer(Value)
        for half in range(2):
            words[0] = cython.cast(uint64_t, self.kind[row]) << 8 | self.status[row]
            for i in range(self.kernel.grouped):
                column: cython.int = self.kernel.group_columns[i]
                code: int32_t = self.codes[column * self.spans + row]
                words[i + 1] = 0
                if code >= 0:
                    value = self.dictionaries[column].values + code
                    words[i + 1] = value.high if half else value.low
            identity[half] = siphash(
                self.kernel.hash_keys + half,
                cython.cast(Bytes, words),
                8 * (self.kernel.grouped + 1),
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
        """What `SpanKernel.decode` gives beside the columns."""
        i: cython.int
        code: cython.int
        counts: list = []
        values: int64_t = 0
        for i in range(_FIRST_ATTRIBUTE + self.kernel.columns):
            counts.append(self.dictionaries[i].count)
            values += self.dictionaries[i].count
        places = PyByteArray_FromStringAndSize(cython.NULL, 8 * values)
        place = cython.cast(cython.pointer(uint32_t), PyByteArray_AS_STRING(places))
        for i in range(_FIRST_ATTRIBUTE + self.kernel.columns):
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
        rejected = PyByteArray_FromStringAndSize(
            cython.cast(cython.p_char, self.rejected),
            4 * (self.bad_trace_ids + self.bad_span_ids) if self.rejected else 0,
        )
        return (counts, places, m, groups, rejected, self.bad_trace_ids, self.bad_span_ids)
