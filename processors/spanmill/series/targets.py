"""What emitted telemetry, in Prometheus's terms: `job`, `instance`, and the labels of its info.

Source: OpenTelemetry's "Prometheus and OpenMetrics Compatibility", section Resource Attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Generic, TypeVar

from spanmill.series.attribute_labels import attribute_labels
from spanmill.series.label_values import label_text, label_value
from spanmill.spans.batch import AttributeValue, Resource

UNKNOWN_SERVICE: Final = "unknown_service"
"""The service of a resource without a `service.name`, as OpenTelemetry's SDKs name it."""

MAX_INFO_LABELS: Final = 64
"""Further attributes of a resource are left out of its info."""

IDENTITY: Final = ("service.name", "service.namespace", "service.instance.id")
"""The attributes of a resource that `job` and `instance` are made of."""

MAX_TARGETS: Final = 4_096
MAX_BYTES: Final = 4 * 1024 * 1024
"""What is remembered of resources: so many, and about so many bytes of their attributes."""

_VALUE_BYTES: Final = 64
"""What an attribute takes beside the characters of its value."""


class Target:
    """What emitted telemetry: its service, job, instance and info, found out when asked for."""

    def __init__(self, resource: Resource) -> None:
        self.resource: Final = resource

    @cached_property
    def service(self) -> str:
        """The `service.name`."""
        return service_of(self.resource.attributes)

    @cached_property
    def job(self) -> str:
        """The `service.namespace` and the `service.name`, joined by `/`."""
        return job_of(self.resource.attributes)

    @cached_property
    def instance(self) -> str:
        """The `service.instance.id`, empty where there is none."""
        return instance_of(self.resource.attributes)

    @cached_property
    def info(self) -> tuple[tuple[str, str], ...]:
        """The attributes that stand in neither `job` nor `instance`, as labels."""
        return info_labels(self.resource.attributes)


AnyTarget = TypeVar("AnyTarget", bound=Target)


class Targets(Generic[AnyTarget]):
    """The targets of resources, remembered by the resource object itself.

    A decoder that gives the same bytes the same object makes a known one cost one look-up. At
    most MAX_TARGETS are remembered, and about MAX_BYTES of their attributes; then all are
    forgotten. `kind` is Target, or a subclass with room for what its owner knows of a target.
    To be used by one thread at a time.
    """

    def __init__(self, kind: type[AnyTarget]) -> None:
        self._kind = kind
        # By identity: comparing attributes would cost as much as reading them. The target holds
        # its resource, so that no other can get its identity meanwhile.
        self._targets: dict[int, AnyTarget] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._targets)

    def of(self, resource: Resource) -> AnyTarget:
        """The target that a resource describes."""
        target = self._targets.get(id(resource))
        return target if target is not None else self._remembered(resource)

    def clear(self) -> None:
        """Forget all of them."""
        self._targets.clear()
        self._bytes = 0

    def _remembered(self, resource: Resource) -> AnyTarget:
        target = self._kind(resource)
        size = _bytes_of(resource.attributes)
        if len(self._targets) >= MAX_TARGETS or self._bytes + size > MAX_BYTES:
            self.clear()
        if size <= MAX_BYTES:
            self._targets[id(resource)] = target
            self._bytes += size
        return target


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


def _bytes_of(value: AttributeValue) -> int:
    """About how much memory a value takes."""
    if isinstance(value, str | bytes):
        return _VALUE_BYTES + len(value)
    if isinstance(value, Mapping):
        return _VALUE_BYTES + sum(map(_bytes_of, value.values()))
    if isinstance(value, tuple):
        return _VALUE_BYTES + sum(map(_bytes_of, value))
    return _VALUE_BYTES
