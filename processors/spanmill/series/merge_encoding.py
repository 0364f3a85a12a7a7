"""Merge messages as bytes: MessagePack, with a version in front."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from spanmill.errors import MergeError
from spanmill.series.column import Stamps
from spanmill.series.histogram_state import HistogramState
from spanmill.series.merge_message import (
    GroupSchema,
    GroupState,
    HistogramSchema,
    MergeMessage,
    Ranges,
    joined_ranges,
    sorted_labels,
)
from spanmill.series.snapshot import LabelValues, PackedNative

FORMAT: Final = 1
"""Goes up with every change that an older spanmill would misread."""

Scalar = TypeVar("Scalar", bound=np.generic)

# Arrays are their bytes, the lowest first, of the types that their owners document.


class _Header(msgspec.Struct):
    format: int
    spanmill: str


class _Histogram(msgspec.Struct):
    layouts_ns: tuple[tuple[int, ...], ...]
    sums: bytes
    bucket_counts: bytes
    native: tuple[bytes, bytes, bytes, bytes, bytes] | None


class _Group(msgspec.Struct):
    schema: str
    label_names: tuple[str, ...]
    labels: tuple[LabelValues | None, ...]
    created_ns: bytes
    last_used_ns: bytes
    spans: bytes
    counters: dict[str, bytes]
    histograms: dict[str, _Histogram]


class _Message(msgspec.Struct):
    format: int
    spanmill: str
    records: dict[str, Ranges]
    groups: dict[str, _Group]


def encode(message: MergeMessage) -> bytes:
    """The message as bytes; equal messages are equal bytes."""
    groups = {name: _written(state) for name, state in sorted(message.groups.items())}
    records = dict(sorted(message.records.items()))
    return msgspec.msgpack.encode(_Message(FORMAT, message.spanmill, records, groups))


def decode(body: bytes) -> MergeMessage:
    """The message that these bytes are.

    Raises MergeError where they are none, are of another format, or contradict themselves. What
    is decoded takes as much memory as the bytes, and a few times the label sets' texts.
    """
    try:
        header = msgspec.msgpack.decode(body, type=_Header)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MergeError(f"these bytes are no merge message: {error}") from error
    if header.format != FORMAT:
        raise MergeError(
            f"spanmill {header.spanmill} wrote a merge message of format {header.format}, and "
            f"this one reads format {FORMAT}: run the same version in both places"
        )
    try:
        written = msgspec.msgpack.decode(body, type=_Message)
        groups = {name: _read(name, group) for name, group in written.groups.items()}
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise MergeError(f"a merge message is damaged: {error}") from error
    records = {
        partition: joined_ranges(partition, ranges) for partition, ranges in written.records.items()
    }
    return MergeMessage(written.spanmill, records, groups)


def _written(state: GroupState) -> _Group:
    return _Group(
        schema=state.schema.digest(),
        label_names=state.schema.label_names,
        labels=state.labels,
        created_ns=_bytes(state.stamps.created_ns, "<i8"),
        last_used_ns=_bytes(state.stamps.last_used_ns, "<i8"),
        spans=_bytes(state.stamps.spans, "<i8"),
        counters={name: _bytes(values, "<f8") for name, values in state.counters.items()},
        histograms={
            name: _written_histogram(state.schema.histograms[name], histogram)
            for name, histogram in state.histograms.items()
        },
    )


def _written_histogram(schema: HistogramSchema, state: HistogramState) -> _Histogram:
    native = state.native
    return _Histogram(
        layouts_ns=schema.layouts_ns,
        sums=_bytes(state.sums, "<f8"),
        bucket_counts=_bytes(state.bucket_counts, "<f8"),
        native=None
        if native is None
        else (
            _bytes(native.schemas, "<i1"),
            _bytes(native.zero_counts, "<f8"),
            _bytes(native.firsts, "<i4"),
            _bytes(native.begins, "<i8"),
            _bytes(native.counts, "<f8"),
        ),
    )


def _bytes(array: npt.NDArray[Scalar], dtype: str) -> bytes:
    return array.astype(dtype, copy=False).tobytes()


def _read(name: str, group: _Group) -> GroupState:
    n = len(group.labels)
    if group.labels != sorted_labels(set(group.labels)):
        raise ValueError(f"the label sets of {name} are not in order")
    if any(key is not None and len(key) != len(group.label_names) for key in group.labels):
        raise ValueError(f"a label set of {name} has not {len(group.label_names)} values")
    schema = GroupSchema(
        group.label_names,
        tuple(group.counters),
        {
            family: HistogramSchema(histogram.layouts_ns, histogram.native is not None)
            for family, histogram in group.histograms.items()
        },
    )
    if schema.digest() != group.schema:
        raise ValueError(f"the schema of {name} is not the one that was written")
    return GroupState(
        schema=schema,
        labels=group.labels,
        stamps=Stamps(
            _array(n, group.created_ns, np.int64),
            _array(n, group.last_used_ns, np.int64),
            _array(n, group.spans, np.int64),
        ),
        counters={
            family: _array(n, values, np.float64) for family, values in group.counters.items()
        },
        histograms={
            family: _read_histogram(n, histogram) for family, histogram in group.histograms.items()
        },
    )


def _read_histogram(n: int, written: _Histogram) -> HistogramState:
    buckets = len({bound for layout in written.layouts_ns for bound in layout}) + 1
    native = None
    if written.native is not None:
        schemas, zeros, firsts, begins, counts = written.native
        native = PackedNative(
            schemas=_array(n, schemas, np.int8),
            zero_counts=_array(n, zeros, np.float64),
            firsts=_array(n, firsts, np.int32),
            begins=_array(n + 1, begins, np.int64),
            counts=_array(len(counts) // 8, counts, np.float64),
        )
    state = HistogramState(
        sums=_array(n, written.sums, np.float64),
        bucket_counts=_array(n * buckets, written.bucket_counts, np.float64).reshape(n, buckets),
        native=native,
    )
    state.check(n, buckets, native is not None)
    return state


def _array(n: int, written: bytes, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    found = np.frombuffer(written, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    if len(found) != n:
        raise ValueError(f"{len(found)} values for {n} label sets")
    return found
