"""Labels of the metrics that services send, by OpenTelemetry's compatibility specification.

Attributes become labels; those of the resource that identify the sender become `job` and
`instance`, the others the labels of `target_info`; the scope's become `otel_scope_…`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from spanmill.points.attributes import read_attributes
from spanmill.points.batch import Attributes, MetricScope, PointExemplar
from spanmill.points.names import FamilyKind
from spanmill.series.attribute_labels import attribute_labels
from spanmill.series.label_values import attribute_text, distinct_text
from spanmill.series.snapshot import Exemplar, LabelValues
from spanmill.series.targets import IDENTITY

EXEMPLAR_CHARACTERS: Final = 128
"""OpenMetrics 1.0: the names and values of an exemplar's labels may have so many together."""

_OWN_LABELS: Final[Mapping[FamilyKind, str]] = {"histogram": "le", "summary": "quantile"}


class Labels(NamedTuple):
    """The labels of one series: names in alphabetical order, and a value for each."""

    names: tuple[str, ...]
    values: LabelValues


def series_labels(attributes: Attributes, common: Mapping[str, str], kind: FamilyKind) -> Labels:
    """The labels of a point's series.

    `common` are those of the sender. An attribute whose label has a meaning of its own (`job`,
    `le` of a histogram, …) gets `exported_` in front, as in Prometheus's own scrapes.
    """
    taken = {*common, _OWN_LABELS.get(kind, "")}
    return _sorted({**attribute_labels(read_attributes(attributes), taken), **common})


def sender_labels(resource: Attributes) -> dict[str, str]:
    """`job` and `instance` of a resource, as far as it says them."""
    values = read_attributes(resource)
    service, namespace, instance = (
        distinct_text(attribute_text(values.get(key))) for key in IDENTITY
    )
    job = distinct_text(f"{namespace}/{service}") if namespace and service else service
    return {name: text for name, text in (("job", job), ("instance", instance)) if text}


def target_labels(resource: Attributes, sender: Mapping[str, str]) -> Labels | None:
    """The labels of a resource's `target_info`; None where they would say nothing."""
    others = {key: value for key, value in read_attributes(resource).items() if key not in IDENTITY}
    translated = attribute_labels(others, {"job", "instance"})
    return _sorted({**translated, **sender}) if translated and sender else None


def scope_labels(scope: MetricScope) -> dict[str, str]:
    """The labels that name the instrumentation; its name counts before an attribute `name`."""
    attributes = {f"otel_scope_{k}": v for k, v in read_attributes(scope.attributes).items()}
    own = {
        "otel_scope_name": scope.name,
        "otel_scope_version": scope.version,
        "otel_scope_schema_url": scope.schema_url,
    }
    return attribute_labels(attributes, set()) | {
        name: distinct_text(text) for name, text in own.items() if text
    }


def exposed_exemplar(exemplar: PointExemplar, seconds: float) -> Exemplar:
    """An exemplar with the labels that lead to its trace, and the moment to show, or NaN.

    The attributes that the series lacks are labels too, where all of them fit.
    """
    ids = [
        (name, value.hex())
        for name, value in (("trace_id", exemplar.trace_id), ("span_id", exemplar.span_id))
        if any(value)
    ]
    others = attribute_labels(read_attributes(exemplar.attributes), {"trace_id", "span_id"})
    labels = [*ids, *others.items()]
    if _characters(labels) > EXEMPLAR_CHARACTERS:
        labels = ids if _characters(ids) <= EXEMPLAR_CHARACTERS else []
    return Exemplar(tuple(labels), exemplar.value, seconds)


def _sorted(labels: Mapping[str, str]) -> Labels:
    names = tuple(sorted(labels))
    return Labels(names, tuple(labels[name] for name in names))


def _characters(labels: Iterable[tuple[str, str]]) -> int:
    return sum(len(name) + len(value) for name, value in labels)
