"""Destinations: what waits for each, what became of the rest, and whether it can be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.page import innermost
from spanmill.cli.doctor.samples import Samples
from spanmill.config.exporters import OtlpDestinationConfig
from spanmill.config.model import Config

_SECONDS: Final = 5.0
_ITEMS: Final = {"traces": "spans", "metrics": "metric_points"}


def check_destinations(before: Samples, now: Samples, config: Config | None) -> Iterator[Finding]:
    """Each destination of each signal; `before` was scraped a few seconds before `now`.

    Without a configuration nothing is known of where they are.
    """
    for signal, items in _ITEMS.items():
        configured = _configured(config, signal)
        names = {*now.values_of(f"spanmill_export_queued_{items}", "exporter"), *configured}
        for name in sorted(names):
            yield _destination(before, now, signal, name, configured.get(name))


def _configured(config: Config | None, signal: str) -> Mapping[str, OtlpDestinationConfig]:
    if config is None:
        return {}
    if signal == "traces":
        return config.exporters.otlp_traces
    return {
        name: settings
        for name, settings in config.exporters.otlp_metrics.items()
        if settings.service_metrics
    }


def _destination(
    before: Samples, now: Samples, signal: str, name: str, settings: OtlpDestinationConfig | None
) -> Finding:
    items = _ITEMS[signal]
    what = f"destination {name} ({signal})"
    words = items.replace("_", " ")
    exported = f"spanmill_export_{items}_total"

    def total(outcome: str, samples: Samples = now) -> float:
        return samples.sum(exported, exporter=name, outcome=outcome)

    queued = now.sum(f"spanmill_export_queued_{items}", exporter=name)
    unreached = _unreached(settings)
    standing = f"{total('delivered'):,.0f} {words} delivered, {queued:,.0f} wait"
    if unreached:
        return fail(
            what,
            f"{unreached}; {standing}",
            f"start it, or mend exporters.otlp_{signal}.{name}.endpoint",
        )
    if total("expired") > total("expired", before):
        return fail(
            what,
            f"its oldest {words} expire now: {total('expired'):,.0f} so far; {standing}",
            "make it faster, or give it a larger max_backlog or required: true",
        )
    if queued and total("delivered") == total("delivered", before) and _retries(before, now, name):
        return fail(what, f"takes nothing: {standing}", "the log says what it answers")
    given_up = {
        outcome: total(outcome)
        for outcome in ("expired", "rejected_by_peer", "dead_lettered")
        if total(outcome)
    }
    if given_up:
        told = ", ".join(
            f"{count:,.0f} {outcome.replace('_', ' ')}" for outcome, count in given_up.items()
        )
        mend = "the log says why; `spanmill journal ls` shows what was set aside"
        return warn(what, f"{told}; {standing}", mend)
    return ok(what, standing)


def _retries(before: Samples, now: Samples, name: str) -> bool:
    retries = "spanmill_export_retries_total"
    return now.sum(retries, exporter=name) > before.sum(retries, exporter=name)


def _unreached(settings: OtlpDestinationConfig | None) -> str:
    """Why no connection can be made from here; empty where one can, or nothing is known."""
    if settings is None:
        return ""
    target = settings.destination
    try:
        socket.create_connection((target.host, target.port), _SECONDS).close()
    except OSError as error:
        return f"{target.authority} can't be reached from here ({innermost(error)})"
    return ""
