"""What one series keeps."""

from __future__ import annotations

import math

from points.otlp_metrics import NOW, SECOND
from spanmill.points.batch import NumberPoint, PointExemplar
from spanmill.series.passed_through_labels import Labels
from spanmill.series.passed_through_series import PassedThroughSeries

FUTURE = NOW + 10**10 * SECOND


def kept(*exemplars: tuple[int, float]) -> tuple[float, float]:
    """Value and seconds of the exemplar that stays; the points arrive a second apart, from NOW."""
    series = PassedThroughSeries(Labels((), ()), NumberPoint, "cumulative", accumulates=True)
    for i, (time, value) in enumerate(exemplars):
        arrival = NOW + i * SECOND
        exemplar = PointExemplar((), time, value, b"\x01" * 16, b"\x01" * 8)
        assert series.take(NumberPoint((), 1, arrival, True, i, ()), arrival) == "counted"
        series.keep_exemplars([exemplar], 1)
    return series.exemplars[0].value, series.exemplars[0].seconds


def test_an_exemplar_of_the_future_is_one_of_its_arrival_and_gives_way() -> None:
    assert kept((FUTURE, 1.0)) == (1.0, NOW / 1e9)
    assert kept((FUTURE, 1.0), (NOW + SECOND // 2, 2.0)) == (2.0, NOW / 1e9 + 0.5)
    assert kept((FUTURE, 1.0), (FUTURE - 1, 2.0)) == (2.0, NOW / 1e9 + 1)


def test_an_exemplar_without_a_time_has_no_moment_and_gives_way() -> None:
    value, seconds = kept((0, 1.0))
    assert value == 1.0
    assert math.isnan(seconds)
    assert kept((0, 1.0), (0, 2.0))[0] == 2.0
    assert kept((0, 1.0), (NOW, 2.0), (0, 3.0)) == (2.0, NOW / 1e9)
