"""Builds destinations out of the configuration."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from random import Random
from typing import Final, TypeVar

from spanmill.clock import Clock
from spanmill.config.exporters import OtlpDestinationConfig
from spanmill.config.model import ExportersConfig
from spanmill.exporters.otlp.account import Account
from spanmill.exporters.otlp.destination import OtlpDestination
from spanmill.exporters.otlp.grpc import GrpcSender
from spanmill.exporters.otlp.letters import Letters
from spanmill.exporters.otlp.sender import Sender
from spanmill.exporters.otlp.settings import (
    DestinationSettings,
    RetrySettings,
    TlsSettings,
)
from spanmill.exporters.otlp.signals import METRICS, TRACES, OtlpSignal
from spanmill.journal.dead_letters import DeadLetters
from spanmill.journal.log import CursorSettings, Journal
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

Decoded = TypeVar("Decoded")

BACKLOG_ON_DISK: Final = 1 << 30
BACKLOG_IN_MEMORY: Final = 64 << 20
"""What may wait for a destination whose configuration doesn't say it, in bytes."""


def build_destinations(
    config: ExportersConfig,
    journal: Journal[Decoded],
    telemetry: Telemetry,
    registry: Registry,
    *,
    clock: Clock,
    default_backlog: int = BACKLOG_ON_DISK,
    dead_letters: DeadLetters | None = None,
) -> list[OtlpDestination]:
    """The destinations of what was received, each with a cursor; before the journal starts.

    `default_backlog` is the `max_backlog` of those that have none, in bytes; `dead_letters` keeps
    what no destination takes.

    Raises StartError where a file that a destination needs can't be used.
    """
    settings = [
        *(
            settings_of(name, TRACES, traces, default_backlog)
            for name, traces in config.otlp_traces.items()
        ),
        *(
            settings_of(name, METRICS, metrics, default_backlog)
            for name, metrics in config.otlp_metrics.items()
            if metrics.service_metrics
        ),
    ]
    if dead_letters is not None:
        show_dead_letters(registry, dead_letters)
    return [
        build_destination(
            each,
            journal,
            telemetry,
            registry,
            clock=clock,
            rng=Random(),
            dead_letters=dead_letters,
        )
        for each in settings
    ]


def show_dead_letters(registry: Registry, letters: DeadLetters) -> None:
    """Show how much is kept of what was given up, and how much of that went."""
    taken = registry.gauge("spanmill_dead_letters_bytes", "Bytes of the files of dead letters.")
    dropped = registry.counter(
        "spanmill_dead_letters_dropped_total",
        "Dead letters that were too many or too old, or could not be written.",
    )
    dropped.add(0)
    counted = 0

    def refresh() -> None:
        nonlocal counted
        taken.set(letters.taken)
        dropped.add(letters.dropped - counted)
        counted = letters.dropped

    registry.before_snapshot(refresh)


def settings_of(
    name: str,
    signal: OtlpSignal,
    config: OtlpDestinationConfig,
    default_backlog: int = BACKLOG_ON_DISK,
) -> DestinationSettings:
    """What the configuration says about one destination."""
    retry = config.retry
    tls = config.tls
    return DestinationSettings(
        name=name,
        signal=signal,
        endpoint=config.destination,
        protocol=config.protocol,
        headers={key: value.get_secret_value() for key, value in config.headers.items()},
        compression=config.compression,
        timeout=config.timeout,
        max_request_bytes=config.max_request_bytes,
        max_backlog=default_backlog if config.max_backlog is None else config.max_backlog,
        required=config.required,
        max_in_flight=config.max_in_flight,
        retry=RetrySettings(retry.initial_interval, retry.max_interval, retry.multiplier),
        tls=TlsSettings(tls.ca_file, tls.cert_file, tls.key_file) if tls else TlsSettings(),
        user_agent=f"spanmill/{version('spanmill')}",
    )


def build_sender(settings: DestinationSettings, clock: Clock) -> Sender:
    """What speaks the destination's protocol; StartError where a file of TLS can't be used."""
    if settings.protocol == "grpc":
        return GrpcSender(settings)
    # Here, since the HTTP client takes 3 MB and many have no such destination.
    from spanmill.exporters.otlp.http import HttpSender

    return HttpSender(settings, clock)


def build_destination(
    settings: DestinationSettings,
    journal: Journal[Decoded],
    telemetry: Telemetry,
    registry: Registry,
    *,
    clock: Clock,
    rng: Random,
    dead_letters: DeadLetters | None = None,
) -> OtlpDestination:
    """One destination, with its cursor and its part of the books; StartError if it can't be."""
    signal = settings.signal
    account = Account(settings.name, signal, telemetry, registry.lock)
    wanted = CursorSettings(settings.name, signal.signal, settings.max_backlog, settings.required)
    cursor = journal.cursor(wanted, account.expired)
    registry.before_snapshot(lambda: account.show_queue(cursor))
    return OtlpDestination(
        settings,
        cursor=cursor,
        make_sender=partial(build_sender, settings, clock),
        account=account,
        clock=clock,
        rng=rng,
        on_disk=dead_letters is not None,  # both are in the state directory
        letters=None
        if dead_letters is None
        else Letters(settings.name, signal.signal, dead_letters, clock),
    )
