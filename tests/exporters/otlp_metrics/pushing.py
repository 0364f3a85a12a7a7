"""A pusher with a registry behind it, and what is pushed by it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from exporters.otlp.peers import Script
from exporters.otlp_metrics.decoded import Pushed, pushed_points
from exposition_examples import values_family
from spanmill.clock import Clock, SystemClock
from spanmill.exporters.otlp.factory import build_sender
from spanmill.exporters.otlp.sender import Reply, Sender
from spanmill.exporters.otlp.settings import DestinationSettings
from spanmill.exporters.otlp_metrics.metric import HistogramForm
from spanmill.exporters.otlp_metrics.pusher import PUSH_OUTCOMES, MetricsPusher, PushSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, LabelValues
from spanmill.telemetry import Telemetry

TIMEOUT = 20.0
SOON = 0.03
"""An interval in which a test can see several pushes."""
NEVER = 1e6
"""An interval that no test sees the end of: there is the last push alone."""


class Pushing:
    """Pushes `families`, which the test changes; the last push is up to `stop`."""

    def __init__(
        self,
        settings: DestinationSettings,
        interval: float = SOON,
        *,
        histograms: HistogramForm = "native",
        sender: Sender | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.registry = Registry(self.clock)
        self.telemetry = Telemetry(self.registry)
        self.families: Sequence[FamilySnapshot] = [calls(1)]
        self.name = settings.name
        self.pusher = MetricsPusher(
            settings,
            PushSettings(interval, histograms, lambda: "host:9464"),
            snapshot=lambda: self.families,
            sender=sender or build_sender(settings, self.clock),
            telemetry=self.telemetry,
            clock=self.clock,
            rng=rng or random.Random(1),
        )
        self.pusher.start()

    def stop(self, seconds: float = TIMEOUT) -> bool:
        self.pusher.begin_stop(self.clock.monotonic() + seconds)
        return self.pusher.finish_stop()

    def outcomes(self) -> dict[str, int]:
        pushes = self.telemetry.pushes
        found = {outcome: int(pushes.value(self.name, outcome)) for outcome in PUSH_OUTCOMES}
        return {outcome: number for outcome, number in found.items() if number}

    @property
    def retries(self) -> int:
        return int(self.telemetry.export_retries.value(self.name, "metrics"))


class ScriptedSender:
    """Answers as it is told; the last answer again and again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []

    def send(self, payload: bytes, timeout: float) -> Reply:
        self.sent.append(payload)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def close(self) -> None:
        """Nothing is open."""


def calls(count: float, *labels: LabelValues) -> FamilySnapshot:
    """A counter with the same count at each of its labels."""
    labels = labels or (("shop",),)
    values = [count] * len(labels)
    return values_family("calls_total", "counter", values, names=("service",), labels=labels)


def taken_points(peer: Script) -> list[Pushed]:
    return list(pushed_points(tuple(peer.taken)))


def values_of(payloads: Sequence[bytes]) -> list[float]:
    return [each.point.as_double for each in pushed_points(tuple(payloads))]
