"""`spanmill explain-name`: the label of a span name, and the rules that made it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from spanmill.config.load import load_config
from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.series.names import SpanNames, Step


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="a span name")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="the configuration whose rules are tried first (default: none but the built-in)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the label, then a line for each rule that met, in order."""
    settings = SpanMetricsConfig()
    if arguments.config is not None:
        settings = load_config(arguments.config, os.environ).config.span_metrics
    names = SpanNames(settings.name_rules, enabled=settings.normalize_span_names)
    print(names.label(arguments.name))
    if not settings.normalize_span_names:
        print("  span_metrics.normalize_span_names is false: names are only cut to length")
    steps = names.explain(arguments.name)
    for step in steps:
        print(f"  {_line(step)}")
    if not steps:
        print("  no rule met: the name is its own label")
    return 0


def _line(step: Step) -> str:
    return f"{step.rule}: {_shown(step.before)} → {_shown(step.after)}"


def _shown(name: str) -> str:
    """A name on one line; whatever would not show is written as an escape."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in name
    )
