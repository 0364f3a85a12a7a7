"""Requests as trees of protobuf fields, immutable, each node with its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from spanmill.errors import UndecodableError
from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import LENGTH, VARINT, read_length, read_tag, skip_field

REQUEST: Final[Descriptor] = ExportTraceServiceRequest.DESCRIPTOR
DEPRECATED_SCOPES: Final = 1000
"""Field of ResourceSpans that held its scopes before OTLP 0.15; the descriptor has it no more."""


class Field:
    """A field of a message, or bytes that are none.

    - `number`, `wire_type`: as its tag says; `wire_type` is -1 for bytes that are no field.
    - `content`: what stands behind the tag and the length.
    - `fields`: the content's own fields, where `message` says which message it is.
    - `known`: what the protocol says of the field, where it knows it.
    - `encoded`: all its bytes, which need not be valid.
    """

    __slots__ = ("content", "encoded", "fields", "known", "message", "number", "wire_type")

    def __init__(
        self,
        number: int,
        wire_type: int,
        content: bytes,
        *,
        known: FieldDescriptor | None = None,
        message: Descriptor | None = None,
        fields: Sequence[Field] = (),
        encoded: bytes | None = None,
    ) -> None:
        self.number = number
        self.wire_type = wire_type
        self.content = content
        self.known = known
        self.message = message
        self.fields = fields
        self.encoded = _encoded(number, wire_type, content) if encoded is None else encoded

    def holding(self, fields: Sequence[Field]) -> Field:
        """The same message with other fields, its length written anew."""
        content = b"".join([field.encoded for field in fields])
        return Field(
            self.number,
            self.wire_type,
            content,
            known=self.known,
            message=self.message,
            fields=fields,
        )

    def with_content(self, content: bytes) -> Field:
        """The same field with another content, which is not looked into."""
        return Field(self.number, self.wire_type, content, known=self.known)

    def written(self, encoded: bytes) -> Field:
        """The same field with its bytes written in another way, right or wrong."""
        return Field(
            self.number,
            self.wire_type,
            self.content,
            known=self.known,
            message=self.message,
            fields=self.fields,
            encoded=encoded,
        )


def _encoded(number: int, wire_type: int, content: bytes) -> bytes:
    if wire_type < 0:
        return content
    if wire_type == LENGTH:
        content = encode_varint(len(content)) + content
    return tag(number, wire_type) + content


def tag(number: int, wire_type: int) -> bytes:
    """The tag of a field in its shortest form."""
    return encode_varint(number << 3 | wire_type)


def raw(encoded: bytes) -> Field:
    """Bytes that stand for a field as they are."""
    return Field(0, -1, encoded, encoded=encoded)


def varint_field(number: int, value: int, known: FieldDescriptor | None = None) -> Field:
    """A field of a number, a negative one as ten bytes."""
    return Field(number, VARINT, encode_varint(value & (1 << 64) - 1), known=known)


def parse_request(body: bytes) -> tuple[Field, ...]:
    """The fields of a request, as deep as the protocol knows them."""
    return _parse(body, REQUEST)


def _parse(body: bytes, message: Descriptor) -> tuple[Field, ...]:
    fields = []
    position, end = 0, len(body)
    try:
        while position < end:
            found, after_tag = read_tag(body, position, end)
            after = skip_field(body, found, after_tag, end)
            fields.append(_field(body[position:after], after_tag - position, found, message))
            position = after
    except UndecodableError:
        # The content is not what the descriptor says it is: its bytes stay together.
        return (raw(body),)
    return tuple(fields)


def _field(encoded: bytes, after_tag: int, found: int, message: Descriptor) -> Field:
    number, wire_type = found >> 3, found & 7
    known = message.fields_by_number.get(number)
    if wire_type != LENGTH:
        return Field(number, wire_type, encoded[after_tag:], known=known, encoded=encoded)
    begin, end = read_length(encoded, after_tag, len(encoded))
    content = encoded[begin:end]
    inner = known.message_type if known is not None else None
    if message.name == "ResourceSpans" and number == DEPRECATED_SCOPES:
        inner = ScopeSpans.DESCRIPTOR
    return Field(
        number,
        LENGTH,
        content,
        known=known,
        message=inner,
        fields=_parse(content, inner) if inner is not None else (),
        encoded=encoded,
    )
