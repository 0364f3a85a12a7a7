"""Attributes as labels, by OpenTelemetry's compatibility specification."""

from __future__ import annotations

from collections.abc import Container, Mapping

from spanmill.points.names import label_name
from spanmill.series.label_values import MAX_LENGTH, attribute_text, cut_apart, distinct_text
from spanmill.spans.batch import AttributeValue


def attribute_labels(
    attributes: Mapping[str, AttributeValue], taken: Container[str]
) -> dict[str, str]:
    """Attributes as labels; the values of keys that become one label are joined by `;`.

    A label that is `taken` gets `exported_` in front, as in Prometheus's own scrapes. An empty
    value is no label. Names and values are cut to 1,024 characters, with a digest of the whole at
    the end, so that attributes that differ stay labels that differ.
    """
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name, value = label_name(key), distinct_text(attribute_text(attributes[key]))
        if len(name) > MAX_LENGTH:
            name = cut_apart(name, "_")
        while name in taken:
            name = f"exported_{name}"
        if name in labels:
            labels[name] = distinct_text(f"{labels[name]};{value}")
        elif value:
            labels[name] = value
    return labels
