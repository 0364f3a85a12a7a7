"""The queries of literal_queries.yaml, and what is put into them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shipped import load_yaml

FILE = Path(__file__).with_name("literal_queries.yaml")
RANGE = "10m"
"""What stands for $__range and $__rate_interval: long enough for the whole replay."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class LiteralQuery:
    """One query, as its program writes it."""

    name: str
    source: str
    query: str
    gives: str
    variant: str = ""
    note: str = ""
    ignore: tuple[str, ...] = ()

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of what the program puts in."""
        return frozenset(re.findall(r"\$\{(\w+)\}", self.query))

    @property
    def window(self) -> float:
        """The length of its range in seconds, NaN where it has none."""
        found = re.search(r"\[(\d+)([smhd])\]", self.expression({}))
        return int(found[1]) * _SECONDS[found[2]] if found else float("nan")

    def expression(self, values: Mapping[str, str]) -> str:
        """What Prometheus is asked, with these values in the places of their names."""
        text = self.query.replace("$__range", RANGE).replace("$__rate_interval", RANGE)
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        return text


def load() -> tuple[dict[str, Any], list[LiteralQuery]]:
    """The sources by their keys, and the queries."""
    content = load_yaml(FILE)
    queries = [
        LiteralQuery(**{**entry, "ignore": tuple(entry.get("ignore", ()))})
        for entry in content["queries"]
    ]
    return content["sources"], queries


def escaped(span_name: str) -> str:
    """A span name within a pattern, as Grafana's Tempo data source escapes it.

    Source: getEscapedValues and getEscapedRegexValues of the file named under `span_table`.
    """
    quoted = re.sub(r'(["\\])', r"\\\1", span_name).replace("\n", "\\n")
    return re.sub(r"([$^*{}\[\]'+?.()|])", r"\\\\\1", quoted)
