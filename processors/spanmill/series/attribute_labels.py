"""Attributes as labels, by OpenTelemetry's compatibility specification."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

from spanmill.points.names import label_name
from spanmill.series.label_values import label_text, label_value
from spanmill.spans.batch import AttributeValue

_LONGEST_NAME: Final = 1024


def attribute_labels(
    attributes: Mapping[str, AttributeValue], taken: Container[str]
) -> dict[str, str]:
    """Attributes as labels; the values of keys that become one label are joined by `;`.

    A label that is `taken` gets `exported_` in front, as in Prometheus's own scrapes. An empty
    value is no label. Labels that begin with `__` are Prometheus's own and left out, as are those
    of more than 1,024 characters. Values are cut to 1,024.
    """
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name, value = label_name(key), label_value(attributes[key])
        if not name or not value or name.startswith("__") or len(name) > _LONGEST_NAME:
            continue
        while name in taken:
            name = f"exported_{name}"
        labels[name] = label_text(f"{labels[name]};{value}") if name in labels else value
    return labels
