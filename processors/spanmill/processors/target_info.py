"""`traces_target_info`: the attributes of every resource, to be joined to its series."""

from __future__ import annotations

from typing import Final

import numpy as np

from spanmill.series.label_sets import OVERFLOW_ROW
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot, LabelValues, Values
from spanmill.series.targets import info_labels, instance_of, job_of
from spanmill.spans.batch import Resource, SpanBatch

_FAMILY: Final = Family(
    "traces_target_info", "gauge", "Always 1; the labels are the attributes of a resource."
)
_MAX_TARGETS: Final = 10_000

InfoLabels = tuple[tuple[str, str], ...]


class TargetInfo:
    """One series a resource, which `job` and `instance` name.

    Where a resource comes again with other attributes, those that came last are shown: of one
    job and instance there is one series at a time, so that a join finds one. Resources without a
    `service.instance.id` can't be told apart by name; each set of attributes is a series then.

    At most 10,000 resources, each of at most 64 labels of 1,024 characters; one that sent no
    span for `idle_timeout_ns` disappears.
    """

    name = "target_info"
    attributes: tuple[str, ...] = ()

    def __init__(self, registry: Registry, idle_timeout_ns: int) -> None:
        self._targets = registry.label_sets(
            ("job", "instance", "attributes"), _MAX_TARGETS, idle_timeout_ns, self.name
        )
        self._info = _InfoColumn()
        self._targets.attach(self._info)
        registry.expose_family(_FAMILY, self._snapshot)

    def observe(self, batch: SpanBatch) -> None:
        """Take the resources of a batch into account."""
        found: dict[LabelValues, InfoLabels] = {}
        for resource in batch.resource.values:
            key, labels = _target(resource)
            found[key] = labels
        rows = self._targets.rows(list(found), batch.arrival_ns)
        for row, labels in zip(rows.tolist(), found.values(), strict=True):
            self._info.labels[row] = labels

    def tick(self, now_ns: int) -> None:
        """Nothing here is made due by time alone; the registry expires idle series."""

    def _snapshot(self) -> FamilySnapshot:
        rows = self._targets.live_rows()
        rows = rows[rows != OVERFLOW_ROW]
        labels = [dict(self._info.labels[row]) for row in rows.tolist()]
        names = sorted({name for target in labels for name in target})
        targets = self._targets.labels(rows)
        return FamilySnapshot(
            _FAMILY,
            ("job", "instance", *names),
            [
                (*(key or ())[:2], *(target.get(name, "") for name in names))
                for key, target in zip(targets, labels, strict=True)
            ],
            self._targets.created_seconds(rows),
            Values(np.ones(len(rows))),
        )


class _InfoColumn:
    """The labels of each row."""

    def __init__(self) -> None:
        self.labels: dict[int, InfoLabels] = {}

    def grow(self, capacity: int) -> None:
        """Nothing to do: rows without labels take no room."""

    def reset(self, row: int) -> None:
        """Forget the labels of a row."""
        self.labels.pop(row, None)


def _target(resource: Resource) -> tuple[LabelValues, InfoLabels]:
    labels = info_labels(resource.attributes)
    instance = instance_of(resource.attributes)
    # Two attribute sets of one instance share a row; without an instance each has its own.
    told_apart_by = "" if instance else repr(labels)
    return (job_of(resource.attributes), instance, told_apart_by), labels
