"""Builds trace destinations out of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from random import Random
from typing import TypeVar

from spanmill.clock import Clock
from spanmill.config.exporters import OtlpTracesConfig
from spanmill.exporters.otlp.account import Account
from spanmill.exporters.otlp.destination import OtlpDestination
from spanmill.exporters.otlp.grpc import GrpcSender
from spanmill.exporters.otlp.http import HttpSender
from spanmill.exporters.otlp.sender import Sender
from spanmill.exporters.otlp.settings import (
    DestinationSettings,
    RetrySettings,
    TlsSettings,
)
from spanmill.journal.log import Journal
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

Decoded = TypeVar("Decoded")


def build_destinations(
    configs: Mapping[str, OtlpTracesConfig],
    journal: Journal[Decoded],
    telemetry: Telemetry,
    registry: Registry,
    clock: Clock,
) -> list[OtlpDestination]:
    """The destinations, each with a cursor; before the journal starts.

    Raises StartError where a file that a destination needs can't be used.
    """
    return [
        build_destination(
            settings_of(name, config), journal, telemetry, registry, clock=clock, rng=Random()
        )
        for name, config in configs.items()
    ]


def settings_of(name: str, config: OtlpTracesConfig) -> DestinationSettings:
    """What the configuration says about one destination."""
    retry = config.retry
    tls = config.tls
    return DestinationSettings(
        name=name,
        endpoint=config.destination,
        protocol=config.protocol,
        headers={key: value.get_secret_value() for key, value in config.headers.items()},
        compression=config.compression,
        timeout=config.timeout,
        max_request_bytes=config.max_request_bytes,
        max_queue_bytes=config.max_queue_bytes,
        retry=RetrySettings(retry.initial_interval, retry.max_interval, retry.multiplier),
        tls=TlsSettings(tls.ca_file, tls.cert_file, tls.key_file) if tls else TlsSettings(),
        user_agent=f"spanmill/{version('spanmill')}",
    )


def build_destination(
    settings: DestinationSettings,
    journal: Journal[Decoded],
    telemetry: Telemetry,
    registry: Registry,
    *,
    clock: Clock,
    rng: Random,
) -> OtlpDestination:
    """One destination, with its cursor and its part of the books; StartError if it can't be."""
    sender: Sender = (
        GrpcSender(settings) if settings.protocol == "grpc" else HttpSender(settings, clock)
    )
    account = Account(settings.name, telemetry, registry.lock)
    cursor = journal.cursor(settings.name, settings.max_queue_bytes, account.expired)
    registry.before_snapshot(lambda: account.show_queue(cursor))
    return OtlpDestination(
        settings, cursor=cursor, sender=sender, account=account, clock=clock, rng=rng
    )
