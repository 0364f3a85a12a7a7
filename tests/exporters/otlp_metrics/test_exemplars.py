from __future__ import annotations

import math

import numpy as np
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as ExemplarMessage

from exporters.otlp_metrics.decoded import pairs
from exporters.otlp_metrics.snapshots import points_of
from exposition_examples import histogram_family, values_family
from spanmill.exporters.otlp_metrics.exemplars import exemplar_message
from spanmill.series.snapshot import Exemplar, NativeBuckets

TRACE, SPAN = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
LABELS = (("trace_id", TRACE), ("span_id", SPAN))


def read(exemplar: Exemplar) -> ExemplarMessage:
    return ExemplarMessage.FromString(exemplar_message(exemplar))


def test_ids_have_fields_of_their_own() -> None:
    found = read(Exemplar((*LABELS, ("route", "/")), 0.25, 1_700_000_000.5))
    assert (found.trace_id.hex(), found.span_id.hex()) == (TRACE, SPAN)
    assert (found.as_double, found.time_unix_nano) == (0.25, 1_700_000_000_500_000_000)
    assert pairs(found.filtered_attributes) == (("route", "/"),)


def test_what_is_no_id_stays_an_attribute() -> None:
    labels = (("trace_id", "not an id"), ("span_id", "g" * 16))
    found = read(Exemplar(labels, 1.0, math.nan))
    assert (found.trace_id, found.span_id, found.time_unix_nano) == (b"", b"", 0)
    assert pairs(found.filtered_attributes) == tuple(sorted(labels))


def test_labels_over_the_limit_are_left_out() -> None:
    found = read(Exemplar((*LABELS, ("note", "x" * 100)), 1.0, 1.0))
    assert found.trace_id.hex() == TRACE
    assert not found.filtered_attributes


def test_exemplars_come_in_the_order_in_which_their_reader_looks() -> None:
    exemplars = {0: {2: Exemplar(LABELS, 9.0, 10.0), 0: Exemplar(LABELS, 0.5, 30.0)}}
    native = [NativeBuckets(0, 0.0, 0, np.array([1.0, 1.0]))]
    family = histogram_family(
        "h", (1.0, 2.0), [[1, 0, 1]], [9.5], native=native, exemplars=exemplars
    )
    (by_bucket,) = points_of(family, histograms="classic")
    (by_time,) = points_of(family, histograms="native")
    assert [each.as_double for each in by_bucket.point.exemplars] == [0.5, 9.0]
    assert [each.as_double for each in by_time.point.exemplars] == [9.0, 0.5]


def test_a_counter_has_its_exemplar() -> None:
    exemplar = Exemplar(LABELS, 1.0, 2.0)
    family = values_family(
        "x_total",
        "counter",
        [1, 2],
        names=("a",),
        labels=[("1",), ("2",)],
        exemplars={1: exemplar},
    )
    first, second = points_of(family)
    assert not first.point.exemplars
    assert second.point.exemplars[0].trace_id.hex() == TRACE
