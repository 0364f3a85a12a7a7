"""The decoder on the kernels: columns straight from the bytes."""

from __future__ import annotations

import itertools
import os
import threading
from array import array
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.resource.v1 import resource_pb2

from spanmill.errors import UndecodableError
from spanmill.spans.attribute_values import attribute_map
from spanmill.spans.batch import Coded, Groups, Resource, SpanBatch
from spanmill.spans.coded_values import AnyValues, Scopes, Texts
from spanmill.spans.decoder import DecodedRequest
from spanmill.spans.reference import ReferenceDecoder
from spanmill.spans.splice import cut_spans
from spanmill.spans.wire import MAX_MESSAGES, find_spans

KERNELS: Final = (
    "spanmill.spans._decode",
    "spanmill.spans._decode_values",
    "spanmill.spans._decode_weights",
)
"""The kernels of the decoder: all of them, or it is not used."""

HASH_KEY_BYTES: Final = 32
MAX_RESOURCES: Final = 4096
MAX_RESOURCE_BYTES: Final = 16 << 20
_MAX_BODY: Final = (1 << 31) - 1


class CompiledDecoder:
    """Decodes requests by three kernels; the GIL is free while they work.

    `_decode` walks the bytes, `_decode_values` gives values their codes and rows their groups,
    `_decode_weights` reads trace states where there are any.

    Gives what `ReferenceDecoder` gives, values for values (their codes may be numbered
    differently, and equal values may have several codes), and `groups` beside it. What no
    sender is known to write goes to the reference, and is counted in `irregular_requests`:

    - a field of a message that is not repeated, or a oneof, that stands twice in it;
    - tags, lengths and numbers as varints that are longer than they need be, or hold more bits
      than their type;
    - groups (wire types 3 and 4);
    - `instrumentation_library_spans` (field 1000);
    - messages nested more than 24 deep in a span or a resource;
    - requests over 2 GiB.

    `kernels` are those of KERNELS. `hash_key` has 32 bytes and is random by default.
    Keeps at most MAX_RESOURCES resources, and no more than MAX_RESOURCE_BYTES of their bytes, so
    that the same bytes give the same object in all requests.
    """

    kind: Literal["compiled", "reference"] = "compiled"

    def __init__(
        self,
        kernels: Sequence[ModuleType],
        attributes: Sequence[str],
        group_by: Sequence[str] = (),
        hash_key: bytes | None = None,
    ) -> None:
        self.irregular_requests = 0
        self._keys = tuple(dict.fromkeys(attributes))
        self._group_by = tuple(group_by)
        self._reference = ReferenceDecoder(self._keys)
        walking, values, weights = kernels
        self._walker = walking.SpanWalker(tuple(key.encode() for key in self._keys), MAX_MESSAGES)
        self._irregular = walking.STATUS_IRREGULAR
        self._columns_at: dict[str, int] = walking.COLUMNS  # in bytes a span
        self._coder = values.ValueCoder(
            len(self._keys),
            tuple(self._keys.index(key) for key in self._group_by),
            os.urandom(HASH_KEY_BYTES) if hash_key is None else hash_key,
        )
        self._read_weights = weights.read_weights
        self._resources = _Resources()
        self._lock = threading.Lock()

    def decode(self, body: bytes) -> DecodedRequest:
        """Decode one request; raises what `ReferenceDecoder.decode` raises."""
        found = self._walker.walk(body) if len(body) <= _MAX_BODY else self._irregular
        if isinstance(found, int):
            return self._decode_otherwise(body, found)
        rejected = found[-3]
        if not rejected:
            return DecodedRequest(self._batch(body, body, found), {})
        layout = find_spans(body)
        payload = cut_spans(body, layout, array("I", bytes(rejected)))
        del layout
        counts = {"invalid_trace_id": found[-2], "invalid_span_id": found[-1]}
        reasons = {reason: count for reason, count in counts.items() if count}
        return DecodedRequest(self._batch(body, payload, found), reasons)

    def _decode_otherwise(self, body: bytes, status: int) -> DecodedRequest:
        """What the kernel stopped at: refused as the reference would, or read by it."""
        if status != self._irregular:
            # Of several faults, the reference tells the one that it meets first.
            try:
                find_spans(body)
            except UndecodableError as error:
                raise _undecodable(str(error)) from error
            raise _undecodable("Error parsing message")
        with self._lock:
            self.irregular_requests += 1
        return self._reference.decode(body)

    def _batch(self, body: bytes, payload: bytes, found: tuple[Any, ...]) -> SpanBatch:
        rows, room, columns, places, states, *_ = found
        keys = len(self._keys)
        at = self._columns_at
        times = np.frombuffer(columns, np.uint64, 3 * room, at["times"] * room)
        times = times.reshape(3, room)[:, :rows]
        sizes = np.frombuffer(columns, np.int64, 3 * room, at["sizes"] * room)
        sizes = sizes.reshape(3, room)[:, :rows]
        weight = np.frombuffer(columns, np.float64, room, at["weight"] * room)[:rows]
        trace_id = np.frombuffer(columns, np.uint8, 16 * room, at["trace_id"] * room)
        trace_id = trace_id.reshape(room, 16)
        span_ids = np.frombuffer(columns, np.uint8, 16 * room, at["span_ids"] * room)
        span_ids = span_ids.reshape(2, room, 8)
        small = np.frombuffer(columns, np.uint8, 3 * room, at["small"] * room)
        small = small.reshape(3, room)[:, :rows]
        codes = np.empty((keys + 4, room), np.int32)
        counts, value_places, groups, group_columns = self._coder.code(
            body, places, codes, small[0], small[1]
        )
        if states:
            self._read_weights(body, np.frombuffer(states, np.uint32).reshape(-1, 3), weight)
        codes = codes[:, :rows]
        span_start, span_length = sizes[1], sizes[2]
        if payload is not body:
            span_start = np.array(find_spans(payload).span_begin, dtype=np.int64)
        values = _split(value_places, counts)
        return SpanBatch(
            payload=payload,
            resource=Coded(codes[0], self._resources.read(body, values[0])),
            scope=Coded(codes[1], Scopes(body, values[1])),
            name=Coded(codes[2], Texts(body, values[2])),
            attributes={
                key: Coded(codes[3 + column], AnyValues(body, values[3 + column]))
                for column, key in enumerate(self._keys)
            },
            kind=small[0],
            status=small[1],
            start=times[0],
            end=times[1],
            duration=times[2],
            trace_id=trace_id[:rows],
            span_id=span_ids[0, :rows],
            parent_id=span_ids[1, :rows],
            size=sizes[0],
            weight=weight,
            span_start=span_start,
            span_length=span_length,
            groups=self._groups(codes[3 + keys], groups, group_columns),
            linked=small[2].view(np.bool_),
        )

    def _groups(self, codes: npt.NDArray[np.int32], groups: int, columns: bytearray) -> Groups:
        numbers = np.frombuffer(columns, np.int64, 2 * groups).reshape(2, groups)
        identities = np.frombuffer(columns, np.uint64, 2 * groups, 16 * groups)
        return Groups(self._group_by, codes, numbers[0], numbers[1], identities.reshape(groups, 2))


def _split(places: bytearray, counts: Sequence[int]) -> list[memoryview]:
    """The places of each column's values, two numbers each."""
    numbers = memoryview(places).cast("I")
    ends = list(itertools.accumulate(counts, initial=0))
    return [numbers[2 * begin : 2 * end] for begin, end in itertools.pairwise(ends)]


def _undecodable(why: str) -> UndecodableError:
    return UndecodableError(f"the body is not an ExportTraceServiceRequest in protobuf: {why}")


class _Resources:
    """The resources read last, by their bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, Resource] = {}
        self._bytes = 0

    def read(self, body: bytes, places: memoryview) -> list[Resource]:
        """The resources that stand at these places of a body."""
        resources = []
        for code in range(len(places) // 2):
            begin = places[2 * code]
            content = body[begin : begin + places[2 * code + 1]]
            resource = self._known.get(content)
            if resource is None:
                message = resource_pb2.Resource.FromString(content)
                resource = self._keep(content, Resource(attribute_map(message.attributes)))
            resources.append(resource)
        return resources

    def _keep(self, content: bytes, resource: Resource) -> Resource:
        with self._lock:
            known = self._known.get(content)
            if known is not None:
                return known
            if len(self._known) >= MAX_RESOURCES or self._bytes + len(content) > MAX_RESOURCE_BYTES:
                self._known = {}
                self._bytes = 0
            if len(content) <= MAX_RESOURCE_BYTES:
                self._known[content] = resource
                self._bytes += len(content)
            return resource
