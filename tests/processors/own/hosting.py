"""A processor with metrics in a registry of its own, and what a scrape shows of them."""

from __future__ import annotations

from collections.abc import Callable

from spanmill.processors import Metrics, Processor
from spanmill.processors.hosted import HostedProcessor
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values
from spanmill.testing import ManualClock

SECOND = 10**9
START = 10**18


class Shown:
    """One processor, or only its metrics, and what is shown."""

    def __init__(self, max_series: int = 1000) -> None:
        self.registry = Registry(ManualClock(START))
        self.metrics = Metrics(self.registry, "mine", max_series, 60 * SECOND)

    def host(self, make: Callable[[Metrics], Processor]) -> HostedProcessor:
        return HostedProcessor(make(self.metrics), self.metrics)

    def family(self, name: str) -> FamilySnapshot:
        (found,) = (f for f in self.registry.snapshot() if f.family.name == name)
        return found

    def values(self, name: str) -> dict[tuple[str, ...] | None, float]:
        family = self.family(name)
        assert isinstance(family.data, Values)
        return dict(zip(family.labels, family.data.values.tolist(), strict=True))

    def counts(self, name: str) -> dict[tuple[str, ...] | None, list[float]]:
        family = self.family(name)
        assert isinstance(family.data, Histograms)
        return dict(zip(family.labels, family.data.bucket_counts.tolist(), strict=True))
