"""What emitted telemetry, in Prometheus's terms: `job`, `instance`, and the labels of its info.

Source: OpenTelemetry's "Prometheus and OpenMetrics Compatibility", section Resource Attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanmill.config.label_names import label_name
from spanmill.series.label_values import label_text, label_value
from spanmill.spans.batch import AttributeValue

UNKNOWN_SERVICE: Final = "unknown_service"
"""The service of a resource without a `service.name`, as OpenTelemetry's SDKs name it."""

MAX_INFO_LABELS: Final = 64
"""Further attributes of a resource are left out of its info."""

_IN_JOB_AND_INSTANCE: Final = frozenset(
    {"service.name", "service.namespace", "service.instance.id"}
)


def service_of(attributes: Mapping[str, AttributeValue]) -> str:
    """The `service.name` of a resource."""
    return label_value(attributes.get("service.name")) or UNKNOWN_SERVICE


def job_of(attributes: Mapping[str, AttributeValue]) -> str:
    """The `service.namespace` and the `service.name` of a resource, joined by `/`."""
    namespace = label_value(attributes.get("service.namespace"))
    service = service_of(attributes)
    return label_text(f"{namespace}/{service}") if namespace else service


def instance_of(attributes: Mapping[str, AttributeValue]) -> str:
    """The `service.instance.id` of a resource, empty where it has none."""
    return label_value(attributes.get("service.instance.id"))


def info_labels(attributes: Mapping[str, AttributeValue]) -> tuple[tuple[str, str], ...]:
    """The attributes that stand in neither `job` nor `instance`, as labels in order of names.

    Where several keys become one name, their values are joined by `;` in the order of the keys.
    """
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        if key in _IN_JOB_AND_INSTANCE:
            continue
        name = _free_name(label_name(key))
        if name not in labels and len(labels) == MAX_INFO_LABELS:
            continue
        value = label_value(attributes[key])
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    return tuple(sorted((name, label_text(value)) for name, value in labels.items() if value))


def _free_name(name: str) -> str:
    """The name, or another one where Prometheus gives it a meaning of its own."""
    if name.startswith("__"):
        return f"key{name}"
    return f"exported_{name}" if name in {"job", "instance"} else name
