"""The form of the right answers to the queries in literal_queries.yaml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from components.prometheus import Labels
from components.shop import Between, Shop

SECOND = 1e9
BUSIEST = 5


@dataclass(frozen=True)
class Case:
    """What the programs put into a query: `window` is the length of its range in seconds."""

    shop: Shop
    window: float
    span_names: tuple[str, ...]
    service: str = ""
    client: str = ""
    server: str = ""
    span_name: str = ""


@dataclass(frozen=True)
class Answer:
    """The right value of each label set; with `largest` that many are given, the largest."""

    values: Mapping[Labels, float | Between]
    largest: int | None = None


Answering = Callable[[Case], Answer]


def rates(case: Case, counts: Mapping[Labels, float]) -> Answer:
    return Answer({labels: count / case.window for labels, count in counts.items()})


def scaled(value: Between, divisor: float) -> Between:
    return Between(value.low / divisor, value.high / divisor)
