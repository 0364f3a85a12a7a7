"""A request in OTLP's JSON encoding, made protobuf's bytes: what every signal has around its items.

The envelopes are framed here, not by the library: so the items need not be in memory together as
objects. Fields are written in the order of their numbers, as the library does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
from google.protobuf.message import EncodeError
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from spanmill.errors import TooManyMessagesError, UndecodableError
from spanmill.spans.json_attributes import resource_of, scope_of
from spanmill.spans.json_fields import FieldError
from spanmill.spans.json_schema import JsonResource, JsonScope
from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import MAX_MESSAGES

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class JsonScopeItems(Protocol):
    """ScopeSpans or ScopeMetrics, with its items unread."""

    @property
    def scope(self) -> JsonScope | None:
        """What emitted the items."""
        ...

    @property
    def items(self) -> Sequence[msgspec.Raw] | None:
        """The spans or metrics."""
        ...

    @property
    def schema_url(self) -> str | None:
        """The schema of scope and items."""
        ...


class JsonResourceItems(Protocol):
    """ResourceSpans or ResourceMetrics."""

    @property
    def resource(self) -> JsonResource | None:
        """What emitted the items."""
        ...

    @property
    def scopes(self) -> Sequence[JsonScopeItems] | None:
        """The items by scope."""
        ...

    @property
    def schema_url(self) -> str | None:
        """The schema of the resource."""
        ...


class JsonItems(Protocol):
    """A request of any signal."""

    @property
    def resources(self) -> Sequence[JsonResourceItems] | None:
        """The items by resource."""
        ...


@dataclass(frozen=True, slots=True)
class JsonForm:
    """How one signal's requests are read.

    `decode` reads the envelopes, `item` makes one item protobuf's bytes; `resources`, `scopes`
    and `items` are the fields' names as error messages have them.
    """

    decode: Callable[[bytes], JsonItems]
    item: Callable[[msgspec.Raw], bytes]
    resources: str
    scopes: str
    items: str


def convert(body: bytes, form: JsonForm) -> bytes:
    """The same request in protobuf; equal bodies give equal bytes.

    Raises UndecodableError with the path of what can't be read, and TooManyMessagesError where
    the decoder would, before anything is converted.
    """
    if body.startswith(_BYTE_ORDER_MARK):
        raise UndecodableError("the JSON body begins with a byte-order mark")
    try:
        request = form.decode(body)
        _check_number(request, form)
        return b"".join(_envelopes(request, form))
    except FieldError as error:
        raise UndecodableError(f"the JSON body has a wrong value at $.{error}") from error
    except RecursionError as error:
        raise UndecodableError("the JSON body is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeError, EncodeError) as error:
        raise UndecodableError(f"the JSON body can't be read: {error}") from error


def framed(tag: bytes, content: bytes | bytearray) -> bytes:
    """A field of a message; `tag` is its number and wire type."""
    return b"".join((tag, encode_varint(len(content)), content))


def _check_number(request: JsonItems, form: JsonForm) -> None:
    messages = 0
    for resource in request.resources or ():
        scopes = resource.scopes or ()
        messages += 1 + len(scopes) + sum(len(scope.items or ()) for scope in scopes)
        if messages > MAX_MESSAGES:
            raise TooManyMessagesError(MAX_MESSAGES, f"{form.items}, scopes and resources")


def _envelopes(request: JsonItems, form: JsonForm) -> Iterator[bytes]:
    for row, resource in enumerate(request.resources or ()):
        try:
            content = _resource_content(resource, form)
        except FieldError as error:
            raise error.under(f"{form.resources}[{row}]") from error
        yield b"\x0a" + encode_varint(len(content))
        yield bytes(content)


# The messages of the other signals have the same fields under the same numbers.


def _resource_content(message: JsonResourceItems, form: JsonForm) -> bytearray:
    content = bytearray()
    if message.resource is not None:
        resource = resource_of(message.resource)
        content += ResourceSpans(resource=resource).SerializeToString()
    for row, scope in enumerate(message.scopes or ()):
        try:
            scope_content = _scope_content(scope, form)
        except FieldError as error:
            raise error.under(f"{form.scopes}[{row}]") from error
        content += framed(b"\x12", scope_content)
    content += ResourceSpans(schema_url=message.schema_url or "").SerializeToString()
    return content


def _scope_content(message: JsonScopeItems, form: JsonForm) -> bytearray:
    content = bytearray()
    if message.scope is not None:
        content += ScopeSpans(scope=scope_of(message.scope)).SerializeToString()
    for row, raw in enumerate(message.items or ()):
        try:
            content += framed(b"\x12", form.item(raw))
        except FieldError as error:
            raise error.under(f"{form.items}[{row}]") from error
        except msgspec.ValidationError as error:
            raise FieldError(str(error), f"{form.items}[{row}]") from error
    content += ScopeSpans(schema_url=message.schema_url or "").SerializeToString()
    return content
