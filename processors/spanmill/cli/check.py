"""`spanmill check`: whether a configuration file can be used, and what it would do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanmill.config.load import LoadedConfig, load_config
from spanmill.config.model import Config
from spanmill.errors import ConfigError

EXIT_REFUSED: Final = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the configuration to check")


def run(arguments: argparse.Namespace) -> int:
    """Print what the file sets up; 2 with a line for each problem if it can't be used."""
    try:
        loaded = load_config(arguments.file, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    print(f"{arguments.file}: ok")
    for line in _summary(loaded):
        print(f"  {line}")
    return 0


def _summary(loaded: LoadedConfig) -> Iterator[str]:
    config = loaded.config
    yield f"listens: {', '.join(_listeners(config))}"
    destinations = [
        f"{name} at {destination.endpoint} ({destination.protocol})"
        for name, destination in config.exporters.otlp_traces.items()
    ]
    yield f"sends traces to: {', '.join(destinations) or 'nobody'}"
    without_effect = loaded.keys_without_effect()
    if without_effect:
        yield f"has no effect yet: {', '.join(without_effect)}"


def _listeners(config: Config) -> Iterator[str]:
    otlp = config.receivers.otlp
    if otlp.grpc is not None:
        yield f"OTLP over gRPC on {otlp.grpc.endpoint}"
    if otlp.http is not None:
        yield f"OTLP over HTTP on {otlp.http.endpoint}"
    yield f"/metrics, /healthz and /readyz on {config.exporters.prometheus.endpoint}"
