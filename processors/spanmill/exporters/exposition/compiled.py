"""The series of a snapshot as the kernel writes them: `_render.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.chunks import CHUNK_BYTES
from spanmill.exporters.exposition.histograms import cumulative_counts
from spanmill.exporters.exposition.lines import OVERFLOW_TEXT, Sample, Suffixes
from spanmill.exporters.exposition.numbers import number_texts
from spanmill.exporters.exposition.packed_exemplars import packed_messages
from spanmill.exporters.exposition.protobuf import ReferenceMetrics
from spanmill.exporters.exposition.protobuf_histograms import (
    as_bucket_exemplar,
    as_native_exemplar,
    bucket_exemplar_field,
    native_exemplar_fields,
)
from spanmill.exporters.exposition.protobuf_messages import (
    counter_exemplar_field,
    label_fields,
    label_name_field,
)
from spanmill.kernels import load_kernel
from spanmill.series.packed_exemplars import PackedExemplars
from spanmill.series.snapshot import (
    OVERFLOW_LABELS,
    Exemplar,
    FamilySnapshot,
    Histograms,
    PackedNative,
    Summaries,
    Values,
)

_PLACES: Final = np.zeros(0, np.int64)
_OVERFLOW_FIELDS: Final = label_fields(OVERFLOW_LABELS)


def load_renderer() -> ModuleType | None:
    """The kernel, or None where the reference has to render."""
    # It copies numbers as they are in memory, and protobuf has the lowest byte first.
    return load_kernel("spanmill.exporters.exposition._render") if _LITTLE_ENDIAN else None


_LITTLE_ENDIAN: Final = sys.byteorder == "little"


class CompiledLines:
    """Writes sample lines, as `lines.ReferenceLines` does."""

    def __init__(self, kernel: ModuleType) -> None:
        self._kernel = kernel

    def write(
        self,
        lines: Sequence[Sample],
        snapshot: FamilySnapshot,
        values: npt.NDArray[np.float64],
        suffixes: Suffixes | None = None,
    ) -> Iterator[bytes]:
        """All lines of each series; `values` is (series, lines)."""
        kernel, width = self._kernel, len(lines)
        heads = tuple(f'{name}="'.encode() for name in snapshot.label_names)
        frames = [frame.encode() for line in lines for frame in line.frames()]
        optional = np.array([not line.always for line in lines], np.uint8)
        behind = {
            series * width + line: text.encode()
            for series, texts in (suffixes or {}).items()
            for line, text in texts.items()
        }
        values = np.ascontiguousarray(values)
        hard = [text.encode() for text in number_texts(kernel.hard_numbers(values))]
        labels = _labels(kernel, snapshot, heads, OVERFLOW_TEXT.encode(), as_fields=False)
        return _written(
            kernel.SampleLines(
                labels,
                _strings(kernel, frames),
                optional,
                values,
                _strings(kernel, hard),
                _placed(kernel, behind),
            )
        )


class CompiledMetrics:
    """Writes `metric` fields, as `protobuf.ReferenceMetrics` does.

    That one writes what only services' own metrics have: summaries, and native histograms that
    aren't packed.
    """

    def __init__(self, kernel: ModuleType) -> None:
        self._kernel = kernel
        self._reference = ReferenceMetrics()

    def write(self, field: bytes, snapshot: FamilySnapshot) -> Iterator[bytes]:
        """The `metric` field of each series, with its value in the field of this key."""
        kernel, data = self._kernel, snapshot.data
        if isinstance(data, Summaries) or not (
            isinstance(data, Values) or data.native is None or isinstance(data.native, PackedNative)
        ):
            return self._reference.write(field, snapshot)
        heads = tuple(map(label_name_field, snapshot.label_names))
        labels = _labels(kernel, snapshot, heads, _OVERFLOW_FIELDS, as_fields=True)
        native: PackedNative | None = None
        bounds = sums = np.zeros(0)
        is_counter = snapshot.family.type == "counter"
        fields: dict[int, bytes] = {}
        if isinstance(data, Histograms):
            values, bounds, sums = cumulative_counts(data), np.array(data.bounds), data.sums
            native = data.native if isinstance(data.native, PackedNative) else None
            if isinstance(data.exemplars, PackedExemplars):
                fields = _packed_exemplars(data.exemplars, len(bounds), native is not None)
            else:
                fields = _histogram_exemplars(data.exemplars, len(bounds), native is not None)
        else:
            values = data.values[:, np.newaxis]
            if is_counter:
                fields = {i: counter_exemplar_field(e) for i, e in data.exemplars.items()}
        return _written(
            kernel.Metrics(
                field[0],
                is_counter,
                labels,
                _placed(kernel, fields),
                np.ascontiguousarray(values),
                np.ascontiguousarray(snapshot.created),
                bounds,
                np.ascontiguousarray(sums),
                *(_NO_NATIVE if native is None else _arrays(native)),
            )
        )


_NO_NATIVE: Final = (
    np.zeros(0, np.int8),
    np.zeros(0),
    np.zeros(0, np.int32),
    np.zeros(0, np.int64),
    np.zeros(0),
)


def _arrays(native: PackedNative) -> tuple[npt.NDArray[Any], ...]:
    return native.schemas, native.zero_counts, native.firsts, native.begins, native.counts


def _histogram_exemplars(
    exemplars: Mapping[int, Mapping[int, Exemplar]], bounds: int, native: bool
) -> dict[int, bytes]:
    """The fields by place: those of each bucket, and all of the native form behind the last."""
    fields = {}
    for series, by_bucket in exemplars.items():
        first = series * (bounds + 2)
        for bucket, exemplar in by_bucket.items():
            if bucket <= bounds:
                fields[first + bucket] = bucket_exemplar_field(exemplar)
        if native:
            fields[first + bounds + 1] = b"".join(native_exemplar_fields(by_bucket))
    return fields


def _packed_exemplars(exemplars: PackedExemplars, bounds: int, native: bool) -> dict[int, bytes]:
    """As above; those of columns have no buckets past the bounds, and each has its moment."""
    messages = packed_messages(exemplars)
    places = exemplars.positions * (bounds + 2) + exemplars.buckets
    fields = dict(zip(places.tolist(), map(as_bucket_exemplar, messages), strict=True))
    if native:
        behind = exemplars.positions * (bounds + 2) + bounds + 1
        in_time = np.lexsort((exemplars.seconds, exemplars.positions)).tolist()
        for i, place in zip(in_time, behind[in_time].tolist(), strict=True):
            fields[place] = fields.get(place, b"") + as_native_exemplar(messages[i])
    return fields


def _labels(
    kernel: ModuleType,
    snapshot: FamilySnapshot,
    heads: tuple[bytes, ...],
    overflow: bytes,
    *,
    as_fields: bool,
) -> Any:
    ends = np.empty(len(snapshot.labels), np.int64)
    text = kernel.write_labels(heads, list(snapshot.labels), overflow, ends, as_fields)
    return kernel.Strings(text, ends, _PLACES)


def _strings(
    kernel: ModuleType, strings: Sequence[bytes], places: npt.NDArray[np.int64] = _PLACES
) -> Any:
    ends = np.cumsum([len(each) for each in strings], dtype=np.int64)
    return kernel.Strings(b"".join(strings), ends, places)


def _placed(kernel: ModuleType, by_place: Mapping[int, bytes]) -> Any:
    places = sorted(place for place, each in by_place.items() if each)
    strings = [by_place[place] for place in places]
    return _strings(kernel, strings, np.array(places, np.int64))


def _written(writer: Any) -> Iterator[bytes]:
    return iter(lambda: writer.write(CHUNK_BYTES), b"")
