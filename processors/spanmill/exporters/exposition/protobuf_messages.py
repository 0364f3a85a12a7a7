"""The small messages inside others: LabelPair, Timestamp, Exemplar.

Field numbers are those of Prometheus's client_model, io/prometheus/client/metrics.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

from spanmill.exporters.exposition.exemplars import fitting_labels
from spanmill.exporters.exposition.label_cache import LabelCache
from spanmill.exporters.exposition.wire import (
    FIXED64,
    LENGTH,
    VARINT,
    key,
    length_delimited,
    pack_double,
    varint,
)
from spanmill.series.snapshot import OVERFLOW_LABELS, Exemplar, FamilySnapshot, LabelValues

_NANOSECONDS: Final = 1_000_000_000

_LABEL = key(1, LENGTH)  # of Metric and of Exemplar
_LABEL_NAME = key(1, LENGTH)
_LABEL_VALUE = key(2, LENGTH)
_SECONDS = key(1, VARINT)
_NANOS = key(2, VARINT)
_EXEMPLAR_VALUE = key(2, FIXED64)
_COUNTER_EXEMPLAR = key(2, LENGTH)
_EXEMPLAR_TIMESTAMP = key(3, LENGTH)


class LabelPairs:
    """The labels of series as messages, made once for the families that share label sets."""

    def __init__(self) -> None:
        self._pairs: LabelCache[tuple[str, str], bytes] = LabelCache()
        self._names: tuple[str, ...] = ()
        self._known: LabelCache[LabelValues | None, bytes] = LabelCache()

    def of(self, snapshot: FamilySnapshot) -> Iterator[bytes]:
        """The `label` fields of each series."""
        names = snapshot.label_names
        if names != self._names:
            self._names, self._known = names, LabelCache()
        known = self._known
        for values in snapshot.labels:
            fields = known.get(values)
            yield known.add(values, self._fields(names, values)) if fields is None else fields

    def _fields(self, names: tuple[str, ...], values: LabelValues | None) -> bytes:
        pairs = OVERFLOW_LABELS if values is None else zip(names, values, strict=True)
        return b"".join([self._field(pair) for pair in pairs if pair[1]])

    def _field(self, pair: tuple[str, str]) -> bytes:
        field = self._pairs.get(pair)
        return self._pairs.add(pair, label_fields((pair,))) if field is None else field


class CreatedStamps:
    """`created_timestamp` fields by seconds since the Unix epoch; nothing where that is NaN."""

    def __init__(self, number: int) -> None:
        self._key = key(number, LENGTH)
        self._known: dict[float, bytes] = {}

    def field(self, seconds: float) -> bytes:
        """The field, made once for all series that were created at one moment."""
        if math.isnan(seconds):
            return b""
        known = self._known.get(seconds)
        if known is None:
            known = self._known[seconds] = length_delimited(self._key, timestamp(seconds))
        return known


def label_fields(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Labels as `LabelPair` fields."""
    fields = []
    for name, value in pairs:
        pair = label_name_field(name)
        fields.append(
            length_delimited(_LABEL, pair + length_delimited(_LABEL_VALUE, value.encode()))
        )
    return b"".join(fields)


def label_name_field(name: str) -> bytes:
    """The field `name` of a `LabelPair`."""
    return length_delimited(_LABEL_NAME, name.encode())


def timestamp(seconds: float) -> bytes:
    """A `google.protobuf.Timestamp` from seconds since the Unix epoch, 0 or more."""
    # Apart, since the nanoseconds of today are more than a double has digits for.
    fraction, whole = math.modf(seconds)
    carry, nanos = divmod(round(fraction * _NANOSECONDS), _NANOSECONDS)
    return _SECONDS + varint(int(whole) + carry) + _NANOS + varint(nanos)


def exemplar_message(exemplar: Exemplar) -> bytes:
    """An `Exemplar`, without a timestamp where its moment is NaN."""
    message = label_fields(fitting_labels(exemplar)) + exemplar_value_field(exemplar.value)
    if math.isnan(exemplar.seconds):
        return message
    return message + exemplar_stamp_field(exemplar.seconds)


def exemplar_value_field(value: float) -> bytes:
    """The field `value` of an `Exemplar`."""
    return _EXEMPLAR_VALUE + pack_double(value)


def exemplar_stamp_field(seconds: float) -> bytes:
    """The field `timestamp` of an `Exemplar`."""
    return length_delimited(_EXEMPLAR_TIMESTAMP, timestamp(seconds))


def counter_exemplar_field(exemplar: Exemplar) -> bytes:
    """The field `exemplar` of a `Counter`."""
    return length_delimited(_COUNTER_EXEMPLAR, exemplar_message(exemplar))
