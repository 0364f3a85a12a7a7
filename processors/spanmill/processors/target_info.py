"""`traces_target_info`: the attributes of every resource, to be joined to its series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.label_sets import OVERFLOW_ROW
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot, LabelValues, Values
from spanmill.series.state_reader import StateReader
from spanmill.series.targets import Target, Targets
from spanmill.spans.batch import SpanBatch

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
    span for `idle_timeout_ns` disappears. The rows of resources are remembered as `Targets`
    remembers resources.
    """

    name = "target_info"
    attributes: tuple[str, ...] = ()

    def __init__(self, registry: Registry, idle_timeout_ns: int) -> None:
        self._label_sets = registry.label_sets(
            ("job", "instance", "attributes"), _MAX_TARGETS, idle_timeout_ns, self.name
        )
        self._info = _InfoColumn()
        self._label_sets.attach(self._info)
        self._label_sets.keep("info", self._info)
        self._label_sets.watch(self)
        self._targets = Targets(_PlacedTarget)
        registry.expose_family(_FAMILY, self._snapshot)

    def observe(self, batch: SpanBatch) -> None:
        """Take the resources of a batch into account."""
        targets = [self._targets.of(resource) for resource in batch.resource.values]
        known = [target.row for target in targets if target.row != OVERFLOW_ROW]
        if known:
            self._label_sets.touch(np.array(known), batch.arrival_ns)
        if len(known) < len(targets):
            self._place([t for t in targets if t.row == OVERFLOW_ROW], batch.arrival_ns)
        for target in targets:
            self._info.labels[target.row] = target.info

    def left(self, rows: npt.NDArray[np.int64]) -> None:  # noqa: ARG002 - all are looked up anew
        """Forget which rows targets had: some of them lost theirs."""
        self._targets.clear()

    def _place(self, targets: Sequence[_PlacedTarget], now_ns: int) -> None:
        keys = list({target.label_set: None for target in targets})
        rows = dict(zip(keys, self._label_sets.rows(keys, now_ns).tolist(), strict=True))
        for target in targets:
            target.row = rows[target.label_set]

    def tick(self, now_ns: int) -> None:
        """Nothing here is made due by time alone; the registry expires idle series."""

    def _snapshot(self) -> FamilySnapshot:
        rows = self._label_sets.live_rows()
        rows = rows[rows != OVERFLOW_ROW]
        labels = [dict(self._info.labels[row]) for row in rows.tolist()]
        names = sorted({name for target in labels for name in target})
        targets = self._label_sets.labels(rows)
        return FamilySnapshot(
            _FAMILY,
            ("job", "instance", *names),
            [
                (*(key or ())[:2], *(target.get(name, "") for name in names))
                for key, target in zip(targets, labels, strict=True)
            ],
            self._label_sets.created_seconds(rows),
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

    def kept(self, rows: npt.NDArray[np.int64]) -> State:
        """A copy of the labels of these rows."""
        return {"labels": [self.labels.get(row, ()) for row in rows.tolist()]}

    def restoring(self, rows: npt.NDArray[np.int64], state: StateReader) -> Callable[[], None]:
        """What puts kept labels at these rows."""
        try:
            kept = msgspec.convert(state.value("labels"), list[InfoLabels])
        except msgspec.ValidationError as error:
            raise state.error(f"the labels are damaged: {error}") from error
        if len(kept) != len(rows):
            raise state.error(f"{len(kept)} label sets for {len(rows)} resources")
        return lambda: self.labels.update(zip(rows.tolist(), kept, strict=True))


class _PlacedTarget(Target):
    """A target that remembers its row, or has none of its own."""

    row = OVERFLOW_ROW

    @cached_property
    def label_set(self) -> LabelValues:
        """What tells it from others."""
        # Two attribute sets of one instance share a row; without an instance each has its own.
        return self.job, self.instance, "" if self.instance else repr(self.info)
