"""A metric that can't be shown is refused when it is declared, in words."""

from __future__ import annotations

import pytest

from processors.own.hosting import Shown
from spanmill.errors import DeclarationError, FamilyConflictError


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("1st_total", "'1st_total' is no metric name"),
        ("shop.requests_total", "is no metric name"),
        ("", "is no metric name"),
        ("spanmill_requests_total", "spanmill_ are spanmill's own"),
        ("process_requests_total", "process_ are those of the process itself"),
        ("requests", "requests should be called requests_total: a counter's name ends in _total"),
    ],
)
def test_names_that_can_t_be(name: str, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Shown().metrics.counter(name, "Requests.")


def test_a_name_ends_in_its_unit() -> None:
    metrics = Shown().metrics
    with pytest.raises(DeclarationError, match="sent_total should be called sent_bytes_total"):
        metrics.counter("sent_total", "Sent.", unit="bytes")
    with pytest.raises(
        DeclarationError, match="wait should be called wait_seconds: a metric's name ends"
    ):
        metrics.histogram("wait", "Wait.")
    with pytest.raises(DeclarationError, match="level should be called level_ratio"):
        metrics.gauge("level", "Level.", unit="ratio")
    with pytest.raises(DeclarationError, match="only a counter's name ends in _total"):
        metrics.gauge("level_total", "Level.")


def test_a_help_text_is_needed() -> None:
    with pytest.raises(DeclarationError, match="needs a help text"):
        Shown().metrics.counter("requests_total", " ")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("tenant", r"for one label write \('tenant',\)"),
        (("tenant.id",), "'tenant.id' is no label name"),
        (("__name__",), "two underscores"),
        (("le",), "'le' can't be a label: Prometheus keeps it"),
        (("job",), "Prometheus sets it on every scraped series"),
        (("a", "b", "a"), "the label 'a' twice"),
        (tuple(f"l{i}" for i in range(33)), "has 33 labels; at most 32 go"),
    ],
)
def test_labels_that_can_t_be(labels: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        Shown().metrics.counter("requests_total", "Requests.", labels)


@pytest.mark.parametrize("buckets", [(), (1, 1), (2, 1), (-1, 1), tuple(range(201))])
def test_buckets_that_can_t_be(buckets: tuple[float, ...]) -> None:
    with pytest.raises(DeclarationError, match="bucket"):
        Shown().metrics.histogram("wait_seconds", "Wait.", buckets=buckets)


def test_a_name_that_is_taken_is_refused() -> None:
    shown = Shown()
    shown.metrics.counter("requests_total", "Requests.")
    with pytest.raises(FamilyConflictError, match="can't be shown beside requests_total"):
        shown.metrics.gauge("requests", "Requests.")


def test_metrics_are_declared_in_the_constructor_alone() -> None:
    metrics = Shown().metrics
    metrics.close()
    with pytest.raises(DeclarationError, match="must be declared in the constructor"):
        metrics.counter("requests_total", "Requests.")
