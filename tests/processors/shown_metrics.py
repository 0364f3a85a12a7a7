"""Service metrics with a registry of their own, and what a scrape shows of them."""

from __future__ import annotations

from exposition_examples import read_openmetrics, read_text
from points.otlp_metrics import NOW, SECOND
from spanmill.exporters.exposition import Format, render
from spanmill.points.decoder import decode_metrics
from spanmill.processors.service_metrics import ServiceMetrics, ServiceMetricsSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, FamilySnapshot, Values
from spanmill.telemetry import ACCEPTED_OUTCOMES, Telemetry
from spanmill.testing import ManualClock

Pairs = tuple[tuple[str, str], ...]


class Shown:
    """The metrics that were sent to it."""

    def __init__(self, max_series: int = 1000, stale_after_ns: int = 300 * SECOND) -> None:
        self.registry = Registry(ManualClock(NOW))
        self._telemetry = Telemetry(self.registry)
        settings = ServiceMetricsSettings(max_series, stale_after_ns)
        self.processor = ServiceMetrics(settings, self.registry, self._telemetry)

    def send(self, *bodies: bytes, arrival: int = NOW) -> None:
        """Take requests that arrived then; each must be without a fault."""
        for body in bodies:
            decoded = decode_metrics(body)
            assert not decoded.rejected
            self.processor.observe(decoded.batch.arrived(arrival))

    def tick(self, now_ns: int) -> None:
        self.processor.tick(now_ns)

    def names(self) -> list[str]:
        """The families that are shown, without target_info."""
        names = dict.fromkeys(snapshot.family.name for snapshot in self._services())
        return [name for name in names if name != "target_info"]

    def snapshots(self, name: str) -> list[FamilySnapshot]:
        found = [snapshot for snapshot in self._services() if snapshot.family.name == name]
        assert found, f"{name} isn't shown"
        return found

    def family(self, name: str) -> Family:
        return self.snapshots(name)[0].family

    def labels(self, name: str) -> list[Pairs]:
        return [pairs for snapshot in self.snapshots(name) for pairs in snapshot.label_pairs()]

    def values(self, name: str) -> dict[Pairs, float]:
        shown: dict[Pairs, float] = {}
        for snapshot in self.snapshots(name):
            assert isinstance(snapshot.data, Values)
            values = snapshot.data.values.tolist()
            shown.update(zip(snapshot.label_pairs(), values, strict=True))
        return shown

    def created(self, name: str) -> float:
        """The created stamp of the only series, seconds."""
        (snapshot,) = self.snapshots(name)
        (stamp,) = snapshot.created.tolist()
        return float(stamp)

    def books(self) -> dict[str, int]:
        """What became of the points, as the books say it."""
        counter = self._telemetry.points_accepted
        return {o: int(n) for o in ACCEPTED_OUTCOMES if (n := counter.value(o))}

    def filtered(self) -> dict[str, int]:
        """Why points changed nothing."""
        counted = {
            pairs: value
            for snapshot in self.registry.snapshot()
            if snapshot.family.name == "spanmill_metric_points_filtered_total"
            and isinstance(snapshot.data, Values)
            for pairs, value in zip(
                snapshot.label_pairs(), snapshot.data.values.tolist(), strict=True
            )
        }
        return {pairs[0][1]: int(value) for pairs, value in counted.items()}

    def conflicts(self) -> int:
        return int(self._telemetry.family_conflicts.value())

    @property
    def estimated_bytes(self) -> int:
        return self.processor.estimated_bytes

    def remembered_keys(self) -> int:
        return self.processor.remembered_keys

    def scrape(self, prefix: str = "") -> list[str]:
        """The lines that begin so; the whole page must be right in every format."""
        families = self.registry.snapshot()
        page = b"".join(render(families, Format.TEXT, created_timestamps=False))
        read_text(page)
        read_openmetrics(b"".join(render(families, Format.OPENMETRICS, created_timestamps=True)))
        b"".join(render(families, Format.PROTOBUF, created_timestamps=True))
        return sorted(line for line in page.decode().splitlines() if line.startswith(prefix))

    def _services(self) -> list[FamilySnapshot]:
        return [
            snapshot
            for snapshot in self.registry.snapshot()
            if not snapshot.family.name.startswith("spanmill_")
        ]
