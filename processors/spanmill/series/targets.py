"""What emitted telemetry, in Prometheus's terms: `job`, `instance`, and the labels of its info.

Source: OpenTelemetry's "Prometheus and OpenMetrics Compatibility", section Resource Attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spanmill.series.attribute_labels import attribute_labels
from spanmill.series.label_values import label_text, label_value
from spanmill.spans.batch import AttributeValue

UNKNOWN_SERVICE: Final = "unknown_service"
"""The service of a resource without a `service.name`, as OpenTelemetry's SDKs name it."""

MAX_INFO_LABELS: Final = 64
"""Further attributes of a resource are left out of its info."""

IDENTITY: Final = ("service.name", "service.namespace", "service.instance.id")
"""The attributes of a resource that `job` and `instance` are made of."""


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

    At most MAX_INFO_LABELS of them.
    """
    others = {key: value for key, value in attributes.items() if key not in IDENTITY}
    labels = attribute_labels(others, {"job", "instance"})
    return tuple(sorted(labels.items())[:MAX_INFO_LABELS])
