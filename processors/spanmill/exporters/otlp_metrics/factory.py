"""Builds what pushes derived metrics out of the configuration."""

from __future__ import annotations

import socket
from collections.abc import Callable
from random import Random

from spanmill.clock import Clock
from spanmill.config.model import ExportersConfig
from spanmill.exporters.otlp.factory import build_sender, settings_of
from spanmill.exporters.otlp.signals import METRICS
from spanmill.exporters.otlp_metrics.pusher import MetricsPusher, PushSettings
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot
from spanmill.telemetry import Telemetry


def build_pushers(
    config: ExportersConfig,
    registry: Registry,
    telemetry: Telemetry,
    clock: Clock,
    scrape_port: Callable[[], int],
) -> list[MetricsPusher]:
    """One for each destination that gets what is derived, with a connection of its own.

    `scrape_port` is asked once the ports are bound: an instance is known by its host and that
    port where the configuration doesn't name it. Raises StartError where a file that a
    destination needs can't be used.
    """

    def snapshot() -> list[FamilySnapshot]:
        return list(registry.families(passed_through=False))

    pushers = []
    for name, destination in config.otlp_metrics.items():
        if not destination.derived:
            continue
        settings = settings_of(name, METRICS, destination)
        pushers.append(
            MetricsPusher(
                settings,
                PushSettings(
                    destination.interval,
                    destination.histograms,
                    _instance_id(destination.instance_id, scrape_port),
                ),
                snapshot=snapshot,
                sender=build_sender(settings, clock),
                telemetry=telemetry,
                clock=clock,
                rng=Random(),
            )
        )
    return pushers


def _instance_id(named: str | None, scrape_port: Callable[[], int]) -> Callable[[], str]:
    return lambda: named or f"{socket.gethostname()}:{scrape_port()}"
