"""The decoder on the protobuf library: the oracle for every other one, and the fallback."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from spanmill.errors import UndecodableError
from spanmill.spans.attribute_values import attribute_map, attribute_value
from spanmill.spans.batch import (
    ABSENT,
    SPAN_KINDS,
    STATUS_CODES,
    AttributeValue,
    Coded,
    Resource,
    Scope,
    SpanBatch,
)
from spanmill.spans.decoder import DecodedRequest
from spanmill.spans.sampling import threshold_weight
from spanmill.spans.splice import cut_spans, encode_varint
from spanmill.spans.wire import Layout, find_spans

_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)
_THRESHOLD_KEY: Final = b"th:"


class ReferenceDecoder:
    """Decodes requests by way of the protobuf library's objects.

    Where the protocol leaves a choice: of an attribute that occurs twice on a span the first
    counts, as in the Collector; a parent id that is not 8 bytes long reads as no parent (and
    goes on as it came); a kind or status that the protocol doesn't know reads as 0.
    """

    kind: Literal["compiled", "reference"] = "reference"
    irregular_requests = 0

    def __init__(self, attributes: Sequence[str]) -> None:
        self._keys = {attribute: attribute.encode() for attribute in attributes}

    def decode(self, body: bytes) -> DecodedRequest:
        """Decode one request.

        Raises UndecodableError where the protobuf library refuses it, TooManyMessagesError where
        its objects would take too much memory.
        """
        layout = _walk(body)
        request = _parse(body)
        sampled = _THRESHOLD_KEY in body
        rows = _Rows(self._keys, _rows_with(self._keys.values(), body, layout), sampled)
        for resource_spans, scopes in _scopes(request, body, layout):
            rows.read_resource(resource_spans, scopes)
        if rows.seen != len(layout):
            raise UndecodableError(
                f"the request has {rows.seen} spans in one reading and {len(layout)} in another"
            )
        del request
        payload = cut_spans(body, layout, rows.rejected)
        if rows.rejected:
            layout = find_spans(payload)
        return DecodedRequest(rows.batch(payload, layout), rows.reasons)


def _walk(body: bytes) -> Layout:
    # Before the library builds an object for every message. What the walk refuses the library
    # refuses too, but for `instrumentation_library_spans`, which it doesn't look into.
    try:
        return find_spans(body)
    except UndecodableError as error:
        raise _undecodable(error) from error


def _parse(body: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(body)
    except (DecodeError, RecursionError) as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> UndecodableError:
    return UndecodableError(f"the body is not an ExportTraceServiceRequest in protobuf: {error}")


def _scopes(
    request: ExportTraceServiceRequest, body: bytes, layout: Layout
) -> Iterator[tuple[ResourceSpans, Iterable[ScopeSpans]]]:
    """Each ResourceSpans with its scopes, those under the deprecated field's number too."""
    for row, resource_spans in enumerate(request.resource_spans):
        if row in layout.deprecated:
            yield resource_spans, _deprecated_scopes(body, layout, row)
        else:
            yield resource_spans, resource_spans.scope_spans


def _deprecated_scopes(body: bytes, layout: Layout, row: int) -> Iterable[ScopeSpans]:
    # InstrumentationLibrarySpans has the fields of ScopeSpans under the same numbers. Parsed as
    # a whole request, so that the library's limit of nesting is the same as for scope_spans.
    first = layout.resources.last[row - 1] if row else 0
    scopes = b"".join(
        b"\x12" + body[layout.scopes.length[scope] : layout.scopes.end[scope]]
        for scope in range(first, layout.resources.last[row])
    )
    return _parse(b"\x0a" + encode_varint(len(scopes)) + scopes).resource_spans[0].scope_spans


def _rows_with(keys: Iterable[bytes], body: bytes, layout: Layout) -> dict[int, int]:
    """The rows of the layout whose bytes contain some of these keys, and how many of them.

    A search of the bytes is far cheaper than the library's objects for every attribute of every
    span: only the rows found here are looked into, and only until they can hold no more.
    """
    found: dict[int, int] = {}
    if not len(layout):
        return found
    begins, ends = layout.span_begin, layout.span_end
    for key in keys:
        position = body.find(key, begins[0])
        while position >= 0:
            row = bisect_right(begins, position) - 1
            if position + len(key) <= ends[row]:
                found[row] = found.get(row, 0) + 1
            elif position < ends[row]:
                position = body.find(key, position + 1)
                continue
            if row + 1 == len(begins):
                break
            position = body.find(key, begins[row + 1])
    return found


class _Rows:
    """The rows of one request while they are read."""

    def __init__(
        self, attributes: Iterable[str], attribute_rows: Mapping[int, int], sampled: bool
    ) -> None:
        self.seen = 0
        self.rejected = array("I")
        self.reasons: dict[str, int] = {}
        self._attribute_rows = attribute_rows
        self._attributes = {key: _AttributeColumn() for key in attributes}
        self._resources: list[Resource] = []
        self._resource_codes: dict[bytes, int] = {}
        self._scope_codes: dict[tuple[str, str], int] = {}
        self._name_codes: dict[str, int] = {}
        # One entry for each ScopeSpans that has accepted spans.
        self._counts: list[int] = []
        self._resource: list[int] = []
        self._scope: list[int] = []
        # One entry for each accepted span.
        self._name: list[int] = []
        self._kind: list[int] = []
        self._status: list[int] = []
        self._start: list[int] = []
        self._end: list[int] = []
        self._trace_id: list[bytes] = []
        self._span_id: list[bytes] = []
        self._parent_id: list[bytes] = []
        self._size: list[int] = []
        # One entry for each span that stands for several; none are looked for where none can be.
        self._sampled = sampled
        self._weighted: list[int] = []
        self._weights: list[float] = []

    def read_resource(self, resource_spans: ResourceSpans, scopes: Iterable[ScopeSpans]) -> None:
        """Append the spans of one resource."""
        code = ABSENT
        for scope_spans in scopes:
            before = len(self._name)
            self._read_spans(scope_spans.spans)
            accepted = len(self._name) - before
            if not accepted:
                continue
            if code == ABSENT:
                code = self._resource_code(resource_spans)
            scope = scope_spans.scope
            self._counts.append(accepted)
            self._resource.append(code)
            self._scope.append(
                self._scope_codes.setdefault((scope.name, scope.version), len(self._scope_codes))
            )

    def _resource_code(self, resource_spans: ResourceSpans) -> int:
        resource = resource_spans.resource
        identity = resource.SerializeToString(deterministic=True)
        code = self._resource_codes.setdefault(identity, len(self._resources))
        if code == len(self._resources):
            self._resources.append(Resource(attribute_map(resource.attributes)))
        return code

    def _read_spans(self, spans: Iterable[Span]) -> None:
        # The loop that every span goes through: methods are bound to local names.
        names = self._name_codes
        name_code = names.setdefault
        attribute_rows = self._attribute_rows
        sampled = self._sampled
        add_name = self._name.append
        add_kind = self._kind.append
        add_status = self._status.append
        add_start = self._start.append
        add_end = self._end.append
        add_trace_id = self._trace_id.append
        add_span_id = self._span_id.append
        add_parent_id = self._parent_id.append
        add_size = self._size.append
        row = self.seen
        for span in spans:
            trace_id = span.trace_id
            span_id = span.span_id
            if len(trace_id) != 16 or trace_id == _NO_TRACE_ID:
                self._reject(row, "invalid_trace_id")
            elif len(span_id) != 8 or span_id == _NO_SPAN_ID:
                self._reject(row, "invalid_span_id")
            else:
                if row in attribute_rows:
                    self._read_attributes(span, len(self._name), attribute_rows[row])
                if sampled and span.trace_state:
                    self._read_weight(span.trace_state, len(self._name))
                parent_id = span.parent_span_id
                add_trace_id(trace_id)
                add_span_id(span_id)
                add_parent_id(parent_id if len(parent_id) == 8 else _NO_SPAN_ID)
                add_name(name_code(span.name, len(names)))
                add_kind(span.kind)
                add_status(span.status.code)
                add_start(span.start_time_unix_nano)
                add_end(span.end_time_unix_nano)
                add_size(span.ByteSize())
            row += 1
        self.seen = row

    def _reject(self, row: int, reason: str) -> None:
        self.rejected.append(row)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def _read_weight(self, trace_state: str, row: int) -> None:
        weight = threshold_weight(trace_state)
        if weight != 1:
            self._weighted.append(row)
            self._weights.append(weight)

    def _read_attributes(self, span: Span, row: int, missing: int) -> None:
        columns = self._attributes
        for pair in span.attributes:
            column = columns.get(pair.key)
            if column is None or not column.add(row, pair.value):
                continue
            missing -= 1
            if not missing:
                return

    def batch(self, payload: bytes, layout: Layout) -> SpanBatch:
        """The columns; `layout` is where the accepted spans stand in `payload`."""
        rows = len(self._name)
        counts = np.array(self._counts, dtype=np.int64)
        start = np.array(self._start, dtype=np.uint64)
        end = np.array(self._end, dtype=np.uint64)
        weight = np.ones(rows, dtype=np.float64)
        weight[self._weighted] = self._weights
        span_start = np.array(layout.span_begin, dtype=np.int64)
        return SpanBatch(
            payload=payload,
            resource=Coded(_repeated(self._resource, counts), self._resources),
            scope=Coded(
                _repeated(self._scope, counts),
                [Scope(name, version) for name, version in self._scope_codes],
            ),
            name=Coded(np.array(self._name, dtype=np.int32), list(self._name_codes)),
            attributes={key: column.coded(rows) for key, column in self._attributes.items()},
            kind=_known(self._kind, len(SPAN_KINDS)),
            status=_known(self._status, len(STATUS_CODES)),
            start=start,
            end=end,
            duration=np.where(end > start, end - start, np.uint64(0)),
            trace_id=_ids(self._trace_id, 16),
            span_id=_ids(self._span_id, 8),
            parent_id=_ids(self._parent_id, 8),
            size=np.array(self._size, dtype=np.int64),
            weight=weight,
            span_start=span_start,
            span_length=np.array(layout.span_end, dtype=np.int64) - span_start,
        )


class _AttributeColumn:
    """The values of one attribute, where a row has it."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._row_codes: list[int] = []
        self._codes: dict[str | bytes, int] = {}
        self._values: list[AttributeValue] = []

    def add(self, row: int, value: AnyValue) -> bool:
        """Take the value for this row unless it has one; rows come in ascending order."""
        if self._rows and self._rows[-1] == row:
            return False
        # Values other than strings are told apart by their bytes: 1, 1.0 and True are equal in
        # Python, and arrays and maps can't be hashed.
        identity: str | bytes
        if value.HasField("string_value"):
            identity = value.string_value
        else:
            identity = value.SerializeToString(deterministic=True)
        code = self._codes.setdefault(identity, len(self._values))
        if code == len(self._values):
            self._values.append(attribute_value(value))
        self._rows.append(row)
        self._row_codes.append(code)
        return True

    def coded(self, rows: int) -> Coded[AttributeValue]:
        """The column for a batch of so many rows."""
        codes = np.full(rows, ABSENT, dtype=np.int32)
        codes[self._rows] = self._row_codes
        return Coded(codes, self._values)


def _repeated(codes: Sequence[int], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    return np.repeat(np.array(codes, dtype=np.int32), counts)


def _known(numbers: Sequence[int], known: int) -> npt.NDArray[np.uint8]:
    column = np.array(numbers, dtype=np.int64)
    return np.where((column >= 0) & (column < known), column, 0).astype(np.uint8)


def _ids(ids: Sequence[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(ids), dtype=np.uint8).reshape(len(ids), width)
