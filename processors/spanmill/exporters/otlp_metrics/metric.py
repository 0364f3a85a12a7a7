"""The kinds of OTLP metrics, and which one a family becomes.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from spanmill.exporters.exposition.wire import LENGTH, VARINT, key, length_delimited, varint
from spanmill.series.snapshot import Family, FamilySnapshot, Histograms, Summaries

HistogramForm = Literal["native", "classic"]

_NAME = key(1, LENGTH)
_DESCRIPTION = key(2, LENGTH)
_CUMULATIVE: Final = key(2, VARINT) + varint(2)
_MONOTONIC: Final = key(3, VARINT) + varint(1)


class Kind(Enum):
    """The kinds of data that a metric can have."""

    GAUGE = auto()
    SUM = auto()
    HISTOGRAM = auto()
    EXPONENTIAL_HISTOGRAM = auto()
    SUMMARY = auto()


@dataclass(frozen=True, slots=True)
class KindFields:
    """The kind's field of `Metric`, its fields after the points, and two fields of its points."""

    data: bytes
    after_points: bytes
    attributes: bytes
    flags: bytes


FIELDS: Final[Mapping[Kind, KindFields]] = {
    Kind.GAUGE: KindFields(key(5, LENGTH), b"", key(7, LENGTH), key(8, VARINT)),
    Kind.SUM: KindFields(key(7, LENGTH), _CUMULATIVE + _MONOTONIC, key(7, LENGTH), key(8, VARINT)),
    Kind.HISTOGRAM: KindFields(key(9, LENGTH), _CUMULATIVE, key(9, LENGTH), key(10, VARINT)),
    Kind.EXPONENTIAL_HISTOGRAM: KindFields(
        key(10, LENGTH), _CUMULATIVE, key(1, LENGTH), key(10, VARINT)
    ),
    Kind.SUMMARY: KindFields(key(11, LENGTH), b"", key(7, LENGTH), key(8, VARINT)),
}


def kind_of(snapshot: FamilySnapshot, histograms: HistogramForm) -> Kind:
    """What a family is pushed as; one that has a single form of histogram in that form.

    An unknown family is a gauge: a sum would get `_total` behind its name.
    """
    data = snapshot.data
    if isinstance(data, Histograms):
        native = data.native is not None and (histograms == "native" or not data.bounds)
        return Kind.EXPONENTIAL_HISTOGRAM if native else Kind.HISTOGRAM
    if isinstance(data, Summaries):
        return Kind.SUMMARY
    return Kind.SUM if snapshot.family.type == "counter" else Kind.GAUGE


@dataclass(frozen=True, slots=True)
class Metric:
    """What stands around the points of one family.

    The unit stays empty: Prometheus and the Collector put one behind the name, which has it.
    """

    family: Family
    kind: Kind

    def header(self) -> bytes:
        """The name and the description."""
        name = length_delimited(_NAME, self.family.name.encode())
        return name + length_delimited(_DESCRIPTION, self.family.help.encode())

    def message(self, points: Sequence[bytes]) -> bytes:
        """A `Metric` with these points, each a field with its key."""
        fields = FIELDS[self.kind]
        return self.header() + length_delimited(fields.data, b"".join(points) + fields.after_points)
