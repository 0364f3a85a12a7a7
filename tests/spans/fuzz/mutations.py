"""Mutations that know the protocol: requests that are odd in one or two places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import FIXED32, FIXED64, GROUP_END, GROUP_START, LENGTH, VARINT
from spans.fuzz import odd_values
from spans.fuzz.fields import DEPRECATED_SCOPES, Field, raw, tag, varint_field

Pool = Mapping[str, Sequence[Field]]
"""Fields of all seeds by the full name of their message; those of scalars under an empty name."""

Change = Callable[[Field, Random, Pool], Sequence[Field]]
"""What stands where the field stood."""

_DESCEND: Final = 0.85
_UNKNOWN: Final = 100
_PADDING_HEAD: Final = 3  # the tag of such a field, and a length below 128
_SCALAR_WIRE_TYPES: Final = {
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_STRING: LENGTH,
    FieldDescriptor.TYPE_BYTES: LENGTH,
}


def mutated(fields: Sequence[Field], random: Random, pool: Pool) -> list[Field]:
    """The message with one of its fields, or one further down, changed."""
    changed = list(fields)
    if not changed:
        return [*random.choice(list(pool.values()))[:1], *_unknown(random)]
    at = random.randrange(len(changed))
    changed[at : at + 1] = _descended(changed[at], random, pool)
    return changed


def _descended(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    if field.fields and random.random() < _DESCEND:
        return [field.holding(mutated(field.fields, random, pool))]
    changes = _OF_MESSAGES if field.message is not None else _OF_SCALARS
    return random.choice(changes)(field, random, pool)


def _drop(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    return []


def _repeat(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    return [field] * random.choice((2, 2, 2, 3, 20))


def _retag(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    number = random.choice(odd_values.FIELD_NUMBERS)
    return [Field(number, max(field.wire_type, 0), field.content)]


def _deprecate(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """Scopes under their old number; both at once are those of the new one alone."""
    old = Field(
        DEPRECATED_SCOPES, LENGTH, field.content, message=field.message, fields=field.fields
    )
    return random.choice(([old], [old, field], [field, old]))


def _other_wire_type(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    number = field.number
    contents = {
        VARINT: encode_varint(random.choice(odd_values.NUMBERS) & (1 << 64) - 1),
        FIXED64: random.choice(odd_values.FIXED64).to_bytes(8, "little"),
        LENGTH: field.content,
        FIXED32: random.randbytes(4),
        GROUP_START: field.content + tag(number, GROUP_END),
        GROUP_END: b"",
        6: b"",
        7: b"\0",
    }
    wire_type = random.choice(list(contents))
    return [Field(number, wire_type, contents[wire_type])]


def _grouped(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """The field in a group, which may end under another number, or not at all."""
    number = random.choice((field.number, *odd_values.FIELD_NUMBERS))
    depth = random.choice((1, 1, 1, 2, 30, 99, 100, 101))
    begin = tag(number, GROUP_START) * depth
    end = tag(random.choice((number, number, number, 5)), GROUP_END) * depth
    return random.choice(
        ([raw(begin + field.encoded + end)], [field, raw(begin + end)], [raw(begin), field])
    )


def _add_unknown(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    return random.choice(([field, *_unknown(random)], [*_unknown(random), field]))


def _unknown(random: Random) -> list[Field]:
    number = random.choice(odd_values.FIELD_NUMBERS)
    match random.randrange(5):
        case 0:
            return [varint_field(number, random.choice(odd_values.NUMBERS))]
        case 1:
            return [Field(number, FIXED64, random.randbytes(8))]
        case 2:
            return [Field(number, FIXED32, random.randbytes(4))]
        case 3:
            return [Field(number, LENGTH, random.randbytes(random.randrange(20)))]
        case _:
            inner = b"".join(field.encoded for field in _unknown(random))
            return [raw(tag(number, GROUP_START) + inner + tag(number, GROUP_END))]


def _lie(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """A length that is not that of the content."""
    length = max(len(field.content) + random.choice(odd_values.LENGTHS), 0)
    return [field.written(tag(field.number, LENGTH) + encode_varint(length) + field.content)]


def _overlong(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """The tag, the length or the number in more bytes than it needs."""
    key = _padded(tag(field.number, max(field.wire_type, 0)), random.choice((0, 0, 1, 3, 4, 5)))
    content = field.content
    if field.wire_type == VARINT:
        content = _padded(content, random.choice((0, 1, 2, 8, 9, 10)))
        if random.random() < 0.3:
            content = _over_wide(content, random)
    elif field.wire_type == LENGTH:
        content = _padded(encode_varint(len(content)), random.choice((0, 1, 3, 4, 5))) + content
    return [field.written(key + content)]


def _padded(varint: bytes, size: int) -> bytes:
    """A varint in at least so many bytes."""
    missing = size - len(varint)
    if missing <= 0 or not varint:
        return varint
    return varint[:-1] + bytes([varint[-1] | 0x80]) + b"\x80" * (missing - 1) + b"\0"


def _over_wide(varint: bytes, random: Random) -> bytes:
    """A varint in ten bytes, the last of which has bits beyond the 64 that there are."""
    nine = bytes(byte | 0x80 for byte in varint[:9])
    return nine.ljust(9, random.choice((b"\x80", b"\xff"))) + bytes([random.randrange(2, 0x80)])


def _splice(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """A field of another request: of the same kind as a rule."""
    name = field.message.full_name if field.message is not None else ""
    same = pool.get(name, ())
    fields = same if same and random.random() < 0.8 else random.choice(list(pool.values()))
    other = random.choice(fields)
    if random.random() < 0.5:
        other = Field(field.number, max(other.wire_type, 0), other.content, message=other.message)
    return random.choice(([other], [field, other], [other, field]))


def _nest(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    for _ in range(random.choice((1, 1, 2, 100))):
        field = Field(field.number, LENGTH, field.encoded)
    return [field]


def _shorten(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """The content cut short, the lengths around it right."""
    return [field.with_content(field.content[: random.randrange(len(field.content) + 1)])]


def _shuffle(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    return [field.holding(random.sample(field.fields, len(field.fields)))]


def _halve(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """One message in two pieces, which protobuf merges where the field is not repeated."""
    at = random.randrange(len(field.fields) + 1)
    return [field.holding(field.fields[:at]), field.holding(field.fields[at:])]


def _spell_out_defaults(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """Fields whose value is the default: first, last or both, they unset what is there."""
    if field.message is None:
        return [field]
    known = random.choice(field.message.fields)
    at = random.randrange(len(field.fields) + 1)
    return [field.holding([*field.fields[:at], _default(known), *field.fields[at:]])]


def _default(known: FieldDescriptor) -> Field:
    """The default value of a field, written out."""
    if known.message_type is not None:
        return Field(known.number, LENGTH, b"", known=known)
    wire_type = _SCALAR_WIRE_TYPES.get(known.type, VARINT)
    content = {LENGTH: b"", FIXED64: bytes(8), FIXED32: bytes(4), VARINT: b"\0"}[wire_type]
    return Field(known.number, wire_type, content, known=known)


def _shrink(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """A default value in a message of 128 to 130 bytes: without it the length is shorter."""
    if field.message is None:
        return [field]
    present = {inner.number for inner in field.fields}
    absent = [
        known
        for known in field.message.fields
        if known.number not in present
        and known.message_type is None
        and known.containing_oneof is None
        and not known.is_repeated
    ]
    if not absent:
        return [field]
    fields = [*field.fields, _default(random.choice(absent))]
    size = sum(len(inner.encoded) for inner in fields)
    missing = random.randrange(128, 131) - size - _PADDING_HEAD
    return [field.holding([*fields, Field(_UNKNOWN, LENGTH, bytes(max(missing, 0)))])]


def _add_field(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """One field more of those that the message has: of a oneof the last one counts."""
    same = pool.get(_name(field), ())
    giver = random.choice(same) if same else field
    if not giver.fields:
        return [field]
    other = random.choice(giver.fields)
    at = random.randrange(len(field.fields) + 1)
    return [field.holding([*field.fields[:at], other, *field.fields[at:]])]


def _name(field: Field) -> str:
    return field.message.full_name if field.message is not None else ""


def _deepen(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    if _name(field).endswith(".AnyValue"):
        return [field.with_content(odd_values.deep_value(random))]
    if field.message is not None and "attributes" in field.message.fields_by_name:
        number = field.message.fields_by_name["attributes"].number
        pair = Field(2, LENGTH, odd_values.deep_value(random))
        key = Field(1, LENGTH, random.choice((b"k", b"http.route", b"other")))
        added = Field(number, LENGTH, key.encoded + pair.encoded)
        return [field.holding([*field.fields, added])]
    return [field]


def _odd_value(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """A value of its own type at which decoders go wrong."""
    if field.wire_type == VARINT:
        return [varint_field(field.number, random.choice(odd_values.NUMBERS), field.known)]
    if field.wire_type == FIXED64:
        value = random.choice(odd_values.FIXED64)
        return [field.with_content(value.to_bytes(8, "little"))]
    if field.wire_type == FIXED32:
        return [field.with_content(random.randbytes(4))]
    name = field.known.name if field.known is not None else ""
    if name.endswith("_id"):
        return [field.with_content(odd_values.an_id(random))]
    if name == "trace_state":
        return [field.with_content(odd_values.trace_state(random))]
    return [field.with_content(odd_values.text(random))]


def _add_trace_state(field: Field, random: Random, pool: Pool) -> Sequence[Field]:
    """A sampling threshold beside this field, which counts where that is in a span."""
    return [field, Field(3, LENGTH, odd_values.trace_state(random))]


_OF_ALL: Final[tuple[Change, ...]] = (
    _drop,
    _repeat,
    _retag,
    _other_wire_type,
    _grouped,
    _add_unknown,
    _lie,
    _overlong,
    _splice,
    _nest,
    _shorten,
)
_OF_MESSAGES: Final[tuple[Change, ...]] = (
    *_OF_ALL,
    _shuffle,
    _shuffle,
    _halve,
    _halve,
    _deprecate,
    _spell_out_defaults,
    _spell_out_defaults,
    _shrink,
    _shrink,
    _add_field,
    _add_field,
    _deepen,
)
_OF_SCALARS: Final[tuple[Change, ...]] = (
    *_OF_ALL,
    *(_odd_value,) * 8,
    _add_trace_state,
)
