"""Points of gauges and sums, and exemplars."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from spanmill.points.attributes import attribute_key
from spanmill.points.batch import NumberPoint, PointExemplar

NO_RECORDED_VALUE: Final = pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def read_number(point: pb.NumberDataPoint) -> NumberPoint | str:
    """A point of a gauge or of a sum that isn't monotonic, or the reason of its rejection."""
    recorded = not point.flags & NO_RECORDED_VALUE
    # Which of the two it is takes longer to ask than to read both.
    value: int | float = point.as_double or point.as_int
    if not value:
        kind = point.WhichOneof("value")
        if kind is None and recorded:
            return "no_value"
        value = point.as_double if kind == "as_double" else 0
    elif math.isnan(value):
        value = math.nan
    return NumberPoint(
        attribute_key(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        recorded,
        value,
        read_exemplars(point.exemplars),
    )


def read_counter(point: pb.NumberDataPoint) -> NumberPoint | str:
    """A point of a monotonic sum, or the reason of its rejection."""
    number = read_number(point)
    if isinstance(number, NumberPoint) and number.recorded and not 0 <= number.value < math.inf:
        return "invalid_sum"
    return number


def read_change(point: pb.NumberDataPoint) -> NumberPoint | str:
    """A delta point of a sum that may fall, or the reason of its rejection."""
    number = read_number(point)
    if isinstance(number, NumberPoint) and number.recorded and not math.isfinite(number.value):
        return "invalid_sum"
    return number


def canonical(number: float) -> float:
    """The number; of the many NaNs always the same, since some bits of it mean more.

    To Prometheus 0x7ff0000000000002 says that a series ends.
    """
    return math.nan if math.isnan(number) else number


def read_exemplars(exemplars: Iterable[pb.Exemplar]) -> tuple[PointExemplar, ...]:
    """The exemplars that have a value."""
    return tuple(map(_exemplar, exemplars)) if exemplars else ()


def _exemplar(exemplar: pb.Exemplar) -> PointExemplar:
    is_int = exemplar.HasField("as_int")
    value = float(exemplar.as_int) if is_int else canonical(exemplar.as_double)
    return PointExemplar(
        attribute_key(exemplar.filtered_attributes),
        exemplar.time_unix_nano,
        value,
        exemplar.trace_id,
        exemplar.span_id,
    )
