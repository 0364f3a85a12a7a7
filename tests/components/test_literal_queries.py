"""Grafana's, Jaeger's and Tempo's own queries give the right numbers for the replayed shop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from components import graph_answers, span_answers
from components.answers import BUSIEST, Answer, Answering, Case
from components.literal_queries import LiteralQuery, escaped, load
from components.prometheus import Labels
from components.replayed_shop import ReplayedShop
from components.shop import Between, Shop, ShopSpan

SOURCES, QUERIES = load()
TOLERANCE = 1e-9


def answering(query: LiteralQuery) -> Answering:
    module = span_answers if hasattr(span_answers, query.gives) else graph_answers
    found: Answering = getattr(module, query.gives)
    return found


def test_every_query_names_its_source_and_its_answer() -> None:
    assert [query.name for query in QUERIES if query.source not in SOURCES] == []
    assert all(map(answering, QUERIES))
    for source in SOURCES.values():
        assert source.keys() == {"repository", "path", "version"}


def test_a_span_name_is_escaped_as_grafana_does() -> None:
    assert escaped('GET /[id].{x} "a"') == r"GET /\\[id\\]\\.\\{x\\} \"a\""


@pytest.mark.components
@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda query: f"{query.source} {query.name} {query.variant}".strip()
)
def test_the_query_gives_what_the_spans_say(
    replayed_shop: ReplayedShop, query: LiteralQuery
) -> None:
    for case, values in cases(query, replayed_shop.shop):
        found = replayed_shop.prometheus.query(query.expression(values), replayed_shop.at)
        assert_right(without(found, query.ignore), answering(query)(case), values)


def cases(query: LiteralQuery, shop: Shop) -> Iterator[tuple[Case, Mapping[str, str]]]:
    """Everything that the program can put into the query, one by one."""
    table = shop.calls(["name"], is_server)
    names = tuple(name for (name,), _ in table.most_common(BUSIEST))
    possible: dict[frozenset[str], list[dict[str, str]]] = {
        frozenset(): [{}],
        frozenset({"span_names"}): [{}],
        frozenset({"span_name"}): [{"span_name": name} for name in names],
        frozenset({"service"}): [
            {"service": service} for (service,) in sorted(shop.calls(["service"], is_server))
        ],
        frozenset({"client"}): [
            {"client": client} for client in sorted({each.client for each in shop.requests})
        ],
        frozenset({"server"}): [
            {"server": server} for server in sorted({each.server for each in shop.requests})
        ],
        frozenset({"client", "server"}): [
            {"client": client, "server": server}
            for client, server in sorted({(each.client, each.server) for each in shop.requests})
        ],
    }
    for values in possible[query.placeholders]:
        put_in = {**values, "span_names": "|".join(map(escaped, names))}
        if "span_name" in values and "=~" in query.query:
            put_in["span_name"] = escaped(values["span_name"])
        yield Case(shop, query.window, names, **values), put_in


def is_server(span: ShopSpan) -> bool:
    return span.kind == "SPAN_KIND_SERVER"


def without(found: Mapping[Labels, float], ignored: tuple[str, ...]) -> dict[Labels, float]:
    kept = {
        tuple((name, value) for name, value in labels if name not in ignored): number
        for labels, number in found.items()
    }
    assert len(kept) == len(found), f"{ignored} tell series apart"
    return kept


def assert_right(found: Mapping[Labels, float], answer: Answer, values: Mapping[str, str]) -> None:
    right = dict(answer.values)
    if answer.largest is not None and len(right) > answer.largest:
        border = sorted(map(upper, right.values()), reverse=True)[answer.largest - 1]
        assert len(found) == answer.largest, values
        assert min(found.values()) >= border * (1 - TOLERANCE), values
        right = {labels: value for labels, value in right.items() if labels in found}
    assert found.keys() == right.keys(), values
    for labels, value in right.items():
        if isinstance(value, Between):
            assert value.low <= found[labels] <= value.high, (values, labels)
        else:
            assert found[labels] == pytest.approx(value, rel=TOLERANCE), (values, labels)


def upper(value: float | Between) -> float:
    return value.high if isinstance(value, Between) else value
