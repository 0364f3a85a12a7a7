"""Every processor over a restart: taken up at any record, nothing shows that there was one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest

from processors.kept_snapshots import kept_states, restore_all, shown
from spanmill.config.model import Config
from spanmill.derivation import Derivation
from spanmill.journal.log import Entry, Record, Signal
from spanmill.kernels import ALL_KERNELS, SWITCH, load_kernel
from spanmill.receivers.signals import Decoded
from spanmill.series.registry import Registry
from spanmill.spans.reference import ReferenceDecoder
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples"
OWN: Final = [
    *(
        {"name": name, "file": str(EXAMPLES / f"{name}.py")}
        for name in ("apdex", "database_time", "tenants_per_span")
    ),
    {"name": "smoothed", "file": str(Path(__file__).parent / "testdata" / "smoothed_errors.py")},
]
OF_THE_PROCESS: Final = (
    # What its calls took, and what it remembers to find series fast.
    *("spanmill_processor_seconds_total", "spanmill_service_metric_bytes"),
    # What it refused, beside what is compared by itself.
    *("spanmill_spans_received_total", "spanmill_metric_points_received_total"),
)
SECOND: Final = 1_000_000_000

AMPLE: Final[dict[str, Any]] = {
    "span_metrics": {
        "dimensions": ["http.route", "rpc.method"],
        "status_message": True,
        "instance_label": True,
    },
    "service_graph": {"wait": "20s"},
    "percentiles": {"window": "1m"},
    "exemplars": {"kept_ratio": 0.3},
    "processors": OWN,
}
TIGHT: Final[dict[str, Any]] = {
    "sampling": {"multiplier_attribute": "http.response_content_length"},
    "span_metrics": {
        "dimensions": ["http.route", "rpc.method"],
        "max_series": 25,
        "idle_timeout": "1m",
    },
    "service_graph": {"max_series": 8, "max_pending": 100, "idle_timeout": "1m", "wait": "5s"},
    "percentiles": {"window": "30s", "max_series": 20},
    "exemplars": {"max_exemplars": 50},
    "service_metrics": {"max_series": 100, "stale_after": "1m"},
    "processors": [{**own, "max_series": 4, "idle_timeout": "1m"} for own in OWN],
}

CONFIGURATIONS: Final = {"ample": AMPLE, "tight": TIGHT}

Arrived = tuple[int, Signal, bytes]
Shown = dict[str, list[Any]]


class Process:
    """All that derives, without receivers, journal and exporters."""

    def __init__(self, configuration: str, kernels: str, started_ns: int) -> None:
        config = Config.model_validate(CONFIGURATIONS[configuration])
        self.registry = Registry(ManualClock(started_ns))
        self._telemetry = Telemetry(self.registry)
        with mock.patch.dict(os.environ, {SWITCH: kernels}):
            self._derivation = Derivation(config, self.registry, self._telemetry, None)

    def take(self, records: Iterable[Arrived]) -> None:
        """Apply records as they arrived."""
        for arrival_ns, signal, body in records:
            decoded: Decoded | None = None
            if signal is not Signal.TICK:
                decoded, _ = self._derivation.taken[signal].decode(body)
            items = len(decoded.batch) if decoded is not None else 0
            rejected = decoded.rejected if decoded is not None else {}
            entry = Entry(body, signal, "", items, decoded, rejected)
            with self.registry.lock:
                self._derivation.apply(Record(0, arrival_ns, entry))

    def shown(self) -> Shown:
        """Every family that goes on over a restart."""
        received = [
            books.received.value(outcome)
            for books in (self._telemetry.spans, self._telemetry.points)
            for outcome in ("accepted", "invalid", "duplicate")
        ]
        return {**shown(self.registry, OF_THE_PROCESS), "received": received}


@pytest.fixture(scope="module")
def records(
    astronomy_requests: list[bytes], host_metric_requests: list[bytes]
) -> Sequence[Arrived]:
    """Spans and points, as they arrived within three minutes, with a tick every 10 s.

    Some of the first spans come again at the end, long after their time.
    """
    decoder, arrived = ReferenceDecoder(()), list[Arrived]()
    now = 0
    spans = astronomy_requests[:1] + astronomy_requests[2::4] + astronomy_requests[:90:9]
    for request, points in zip(spans, host_metric_requests, strict=False):
        ended = int(decoder.decode(request).batch.end.max())
        before, now = now, max(now, ended) + SECOND
        if before and now // (10 * SECOND) > before // (10 * SECOND):
            arrived.append((now - now % (10 * SECOND), Signal.TICK, b""))
        arrived.append((now, Signal.TRACES, request))
        arrived.append((now, Signal.METRICS, points))
    return arrived


@pytest.fixture(scope="module")
def whole(records: Sequence[Arrived]) -> Any:
    """What a process shows that has taken all records, by configuration and kernels."""

    @cache
    def run(configuration: str, kernels: str) -> Shown:
        process = Process(configuration, kernels, records[0][0])
        process.take(records)
        return process.shown()

    return run


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(
    ("before", "after"), [("on", "on"), ("off", "off"), ("on", "off"), ("off", "on")]
)
def test_nothing_shows_that_there_was_a_restart(
    configuration: str, before: str, after: str, records: Sequence[Arrived], whole: Any
) -> None:
    if not all(map(load_kernel, ALL_KERNELS)):
        pytest.skip("not all kernels are built")
    cut = random.Random(f"{configuration} {before} {after}").randrange(len(records))
    first = Process(configuration, before, records[0][0])
    first.take(records[:cut])
    states = kept_states(first.registry)
    second = Process(configuration, after, records[-1][0] + 60 * SECOND)
    restore_all(second.registry, states)
    assert_same(second.shown(), first.shown())
    second.take(records[cut:])
    assert_same(second.shown(), whole(configuration, after))
    assert len(second.shown()) > 40


def assert_same(one: Shown, other: Shown) -> None:
    """Name the families that differ: there are too many to compare them at once."""
    different = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    assert different == []
