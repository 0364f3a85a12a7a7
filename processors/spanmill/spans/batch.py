"""Spans as columns: the one thing that every processor reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

AttributeValue = (
    str
    | bool
    | int
    | float
    | bytes
    | tuple["AttributeValue", ...]
    | Mapping[str, "AttributeValue"]
    | None
)
"""A decoded `AnyValue`: arrays are tuples, kvlists mappings, the empty value is None."""

ABSENT: Final = -1
"""The code of a row that has no value in a coded column."""

SPAN_KINDS: Final = (
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
)
"""Span kinds by their number in `opentelemetry.proto.trace.v1.Span.SpanKind`."""

STATUS_CODES: Final = ("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")
"""Status codes by their number in `opentelemetry.proto.trace.v1.Status.StatusCode`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Coded(Generic[T]):
    """A dictionary-coded column.

    `codes` is int32 of shape (n,): row i has the value `values[codes[i]]`, or none where the
    code is ABSENT. Values may repeat: equal values under two codes mean the same.
    """

    codes: npt.NDArray[np.int32]
    values: Sequence[T]

    def value(self, row: int) -> T | None:
        """The value of one row, or None where it has none."""
        code = int(self.codes[row])
        return None if code == ABSENT else self.values[code]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Resource:
    """What emitted the spans: the attributes of an OTLP `Resource`.

    Equal to itself alone, so that what is known of it can be kept by the object: a decoder may
    give the same one for the same bytes in all its batches.
    """

    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which instrumentation emitted the spans."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Which spans of a batch agree in all that tells series apart.

    Two spans are of one group where resource, name, kind, status and the values of `attributes`
    are the same (coded columns may repeat a value: then one group more is there, no one less).

    - `attributes`: the keys of the attribute columns that tell groups apart, in their order.
    - `codes`: int32 (n,), the group of each row; groups are numbered by their first row.
    - `first`: int64 (m,), the first row of each group, ascending.
    - `counts`: int64 (m,), how many rows each has.
    - `identities`: uint64 (m, 2), 128 bits by which a decoder knows a group in all its batches:
      equal where the groups are equal, otherwise different (a keyed hash, with a random key of
      the process). None where the decoder has none to give.
    """

    attributes: tuple[str, ...]
    codes: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    identities: npt.NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class SpanBatch:
    """The accepted spans of one request, in the order of its bytes.

    n is the number of spans. All arrays have n rows and are read-only by agreement.

    - `payload`: the serialised `ExportTraceServiceRequest` that holds these spans and no
      others: the received bytes, less the spans that were rejected.
    - `arrival_ns`: when the request arrived, nanoseconds since the Unix epoch.
    - `resource`, `scope`, `name`: coded columns; every row has a value.
    - `attributes`: a coded column for each configured span attribute, by its key.
    - `kind`, `status`: uint8 (n,), the protocol's enum numbers; a number that the protocol
      doesn't know reads as 0 (unspecified, unset).
    - `start`, `end`: uint64 (n,), nanoseconds since the Unix epoch, as received.
    - `duration`: uint64 (n,), nanoseconds, end - start; 0 where the end is before the start.
    - `trace_id`: uint8 (n, 16); `span_id`, `parent_id`: uint8 (n, 8); a root has parent 0.
    - `size`: int64 (n,), the size of the span in bytes as the protobuf library serialises it,
      which is what Tempo counts; the received bytes are a little more where a sender spells out
      default values.
    - `weight`: float64 (n,), how many spans this one stands for (1 without sampling), by the
      probability threshold in its trace state.
    - `span_start`, `span_length`: int64 (n,), where the serialised span stands in `payload`.
      What has no column is read from there, for the rows that need it.
    - `linked`: bool (n,), which spans have links; None where the decoder did not look.
    - `groups`: which spans agree, where the decoder found out; `spans.groups.groups_of` does
      otherwise.
    """

    payload: bytes
    resource: Coded[Resource]
    scope: Coded[Scope]
    name: Coded[str]
    kind: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]
    start: npt.NDArray[np.uint64]
    end: npt.NDArray[np.uint64]
    duration: npt.NDArray[np.uint64]
    trace_id: npt.NDArray[np.uint8]
    span_id: npt.NDArray[np.uint8]
    parent_id: npt.NDArray[np.uint8]
    size: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]
    span_start: npt.NDArray[np.int64]
    span_length: npt.NDArray[np.int64]
    attributes: Mapping[str, Coded[AttributeValue]] = field(default_factory=dict)
    arrival_ns: int = 0
    groups: Groups | None = None
    linked: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.kind)

    def arrived(self, arrival_ns: int) -> SpanBatch:
        """The same spans with the arrival time that the journal gave them."""
        return dataclasses.replace(self, arrival_ns=arrival_ns)

    def span_bytes(self, row: int) -> bytes:
        """The serialised span of one row, as received."""
        begin = int(self.span_start[row])
        return self.payload[begin : begin + int(self.span_length[row])]
