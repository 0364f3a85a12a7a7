"""`spanmill check`: whether a configuration file can be used, and what it would do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from spanmill.cli.check_listeners import listener_problems
from spanmill.clock import SystemClock
from spanmill.config.exporters import OtlpDestinationConfig, TlsConfig
from spanmill.config.exposure import exposures
from spanmill.config.load import LoadedConfig, load_config
from spanmill.config.model import Config
from spanmill.config.problems import KeyPath, Problem, config_error, dotted
from spanmill.errors import ConfigError, StartError
from spanmill.exporters.otlp.factory import settings_of
from spanmill.exporters.otlp.signals import METRICS, TRACES, OtlpSignal
from spanmill.exporters.otlp.tls import client_context
from spanmill.processors.factory import build_processors
from spanmill.processors.own import build_own_processor
from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

EXIT_REFUSED: Final = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the configuration to check")


def run(arguments: argparse.Namespace) -> int:
    """Print what the file sets up; 2 with a line for each problem if it can't be used."""
    try:
        loaded = load_config(arguments.file, os.environ)
        _refuse_unusable_files(loaded)
        own_metrics = _own_metrics(loaded)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    print(f"{arguments.file}: ok")
    for line in (*_summary(loaded), *own_metrics):
        print(f"  {line}")
    return 0


def _refuse_unusable_files(loaded: LoadedConfig) -> None:
    """Read the files that the configuration names, as a start would; ConfigError names each."""
    assert loaded.path is not None, "FILE is required"
    problems = [
        problem
        for signal, destinations in _destinations(loaded.config)
        for name, destination in destinations.items()
        if destination.tls is not None
        for problem in _unusable_files(loaded, signal, name, destination, destination.tls)
    ]
    problems += listener_problems(loaded, SystemClock())
    if problems:
        raise config_error(loaded.path, problems)


def _own_metrics(loaded: LoadedConfig) -> list[str]:
    """Make the configuration's own processors, as a start would; ConfigError names each fault.

    Returns a line for each: its name, and the metrics that it derives.
    """
    if not loaded.config.processors:
        return []
    assert loaded.path is not None, "FILE is required"
    registry = Registry(SystemClock())
    built_in = loaded.config.model_copy(update={"processors": ()})
    build_processors(built_in, registry, Telemetry(registry))
    problems, lines = [], []
    for index, own in enumerate(loaded.config.processors):
        at: KeyPath = ("processors", index, "file" if own.file is not None else "entry_point")
        try:
            metrics = build_own_processor(own, registry).metrics.names()
        except StartError as error:
            problems.append(Problem(loaded.lines[dotted(at)], at, str(error)))
        else:
            lines.append(f"processor {own.name} derives: {', '.join(metrics)}")
    if problems:
        raise config_error(loaded.path, problems)
    return lines


def _unusable_files(
    loaded: LoadedConfig,
    signal: OtlpSignal,
    name: str,
    destination: OtlpDestinationConfig,
    tls: TlsConfig,
) -> Iterator[Problem]:
    section: KeyPath = (*signal.section.split("."), name, "tls")
    readable = True
    for key, file in (
        ("ca_file", tls.ca_file),
        ("cert_file", tls.cert_file),
        ("key_file", tls.key_file),
    ):
        reason = _unreadable(file) if file is not None else None
        if reason is not None:
            at = (*section, key)
            yield Problem(loaded.lines[dotted(at)], at, f"can't read {file}: {reason}")
            readable = False
    if readable:
        try:
            client_context(settings_of(name, signal, destination))
        except StartError as error:  # it names the key itself
            yield Problem(loaded.lines[dotted(section)], (), str(error))


def _unreadable(file: Path) -> str | None:
    """Why a file can't be read; None if it can."""
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _summary(loaded: LoadedConfig) -> Iterator[str]:
    config = loaded.config
    yield f"listens: {', '.join(_listeners(config))}"
    for exposure in exposures(config):
        yield f"unprotected: {exposure}"
    for signal, destinations in _destinations(config):
        named = [f"{name} at {d.endpoint} ({d.protocol})" for name, d in destinations.items()]
        yield f"sends {signal.name} to: {', '.join(named) or 'nobody'}"
    state = config.state
    if state.durability == "memory":
        yield "keeps its state in: memory"
    else:
        yield f"keeps its state in: {state.directory} ({state.durability})"


def _destinations(
    config: Config,
) -> Iterator[tuple[OtlpSignal, Mapping[str, OtlpDestinationConfig]]]:
    yield TRACES, config.exporters.otlp_traces
    yield METRICS, config.exporters.otlp_metrics


def _listeners(config: Config) -> Iterator[str]:
    otlp = config.receivers.otlp
    if otlp.grpc is not None:
        yield f"OTLP over gRPC on {otlp.grpc.endpoint}"
    if otlp.http is not None:
        yield f"OTLP over HTTP on {otlp.http.endpoint}"
    yield f"/metrics, /healthz and /readyz on {config.exporters.prometheus.endpoint}"
