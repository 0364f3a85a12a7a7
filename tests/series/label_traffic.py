"""Label sets that are filled and ticked as a processor does it, and looked at from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from spanmill.series.counter import CounterColumn
from spanmill.series.label_sets import OVERFLOW_ROW, LabelSets

SECOND = 10**9
TICK = 10 * SECOND
IDLE = 900 * SECOND

Series = dict[tuple[str | None, float], float]
"""Values by name (None for the overflow series) and created stamp."""


class Traffic:
    """Label sets with one counter; time moves by ticks of 10 s."""

    def __init__(self, limit: int, *, told: bool = True) -> None:
        self.sets = LabelSets(("service", "span_name"), limit, IDLE)
        self.calls = CounterColumn(self.sets)
        self.told = told
        self.now = 10**18

    def send(self, spans: Mapping[str, int] | Iterable[str]) -> None:
        """One batch; a name may say its service before a slash."""
        counted = Counter(spans)
        keys = [self.key(name) for name in counted]
        counts = np.fromiter(counted.values(), np.int64, len(counted))
        rows = self.sets.rows(keys, self.now, counts if self.told else None)
        self.calls.add(rows, counts.astype(np.float64))

    def tick(self, times: int = 1, spans: Mapping[str, int] | None = None) -> None:
        """So many ticks, with this batch before each."""
        for _ in range(times):
            if spans:
                self.send(spans)
            self.now += TICK
            self.sets.expire(self.now)

    def own(self) -> set[str]:
        """The names whose spans count in series of their own."""
        return {labels[1] for labels in self.sets.labels(self.sets.owned()) if labels is not None}

    def series(self) -> Series:
        rows = self.sets.live_rows()
        names = [labels[1] if labels else None for labels in self.sets.labels(rows)]
        created = self.sets.created_seconds(rows).tolist()
        values = self.calls.values(rows).tolist()
        assert (OVERFLOW_ROW in rows.tolist()) == (None in names)
        return dict(zip(zip(names, created, strict=True), values, strict=True))

    @staticmethod
    def key(name: str) -> tuple[str, str]:
        service, slash, rest = name.partition("/")
        return (service, name) if slash and rest else ("shop", name)
