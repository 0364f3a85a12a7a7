"""What the queries on the service graph in literal_queries.yaml give for the recorded shop.

A function here is named by the file's key `gives`. It takes the case that is asked for and returns
the right value for each label set, computed from a join of each span with its parent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from components.answers import SECOND, Answer, Case, rates, scaled
from components.prometheus import Labels
from components.shop import (
    GRAPH_BOUNDS,
    Between,
    Request,
    classic_quantile,
    labels_of,
    native_quantile,
)


def _edges(
    requests: Iterable[Request], by: Sequence[str] = ("client", "server")
) -> dict[Labels, list[Request]]:
    found = defaultdict(list)
    for request in requests:
        found[labels_of(**{label: getattr(request, label) for label in by})].append(request)
    return dict(found)


def _request_rates(case: Case, edges: Mapping[Labels, Sequence[Request]]) -> Answer:
    return rates(case, {labels: len(requests) for labels, requests in edges.items()})


def _to_server(case: Case) -> list[Request]:
    return [request for request in case.shop.requests if request.server == case.server]


def _from_client(case: Case) -> list[Request]:
    return [request for request in case.shop.requests if request.client == case.client]


def _on_edge(case: Case) -> list[Request]:
    return [request for request in _from_client(case) if request.server == case.server]


def one_for_each_edge(case: Case) -> Answer:
    return Answer(dict.fromkeys(_edges(case.shop.requests), 1))


def one_for_each_edge_and_type(case: Case) -> Answer:
    by = ("client", "server", "connection_type")
    return Answer(dict.fromkeys(_edges(case.shop.requests, by), 1))


def requests_of_each_edge(case: Case) -> Answer:
    return _request_rates(case, _edges(case.shop.requests))


def requests_of_each_edge_of_the_client(case: Case) -> Answer:
    return _request_rates(case, _edges(_from_client(case)))


def requests_of_each_edge_to_the_server(case: Case) -> Answer:
    return _request_rates(case, _edges(_to_server(case)))


def requests_of_the_edge(case: Case) -> Answer:
    return _request_rates(case, _edges(_on_edge(case)))


def server_seconds_of_each_edge(case: Case) -> Answer:
    return rates(
        case,
        {
            labels: sum(request.nanoseconds for request in requests) / SECOND
            for labels, requests in _edges(case.shop.requests).items()
        },
    )


def _failures(case: Case, requests: Iterable[Request]) -> Answer:
    """Edges without a failure are there too, at 0."""
    return rates(
        case,
        {
            labels: sum(request.failed for request in on_edge)
            for labels, on_edge in _edges(requests).items()
        },
    )


def failed_requests_of_each_edge(case: Case) -> Answer:
    return _failures(case, case.shop.requests)


def failed_requests_of_the_edge(case: Case) -> Answer:
    return _failures(case, _on_edge(case))


def bucket_requests_of_each_edge(case: Case) -> Answer:
    """The sum over the buckets of a classic histogram, each of which counts all smaller ones."""
    return rates(
        case,
        {
            labels: sum(
                1 + sum(request.nanoseconds <= bound for bound in GRAPH_BOUNDS)
                for request in requests
            )
            for labels, requests in _edges(case.shop.requests).items()
        },
    )


def _p90(requests: Sequence[Request]) -> Between:
    durations = [request.nanoseconds for request in requests]
    return scaled(classic_quantile(0.9, durations, GRAPH_BOUNDS), SECOND)


def classic_p90_of_the_edge(case: Case) -> Answer:
    return Answer({labels: _p90(found) for labels, found in _edges(_on_edge(case)).items()})


def native_p90_of_the_edge(case: Case) -> Answer:
    return Answer(
        {
            labels: scaled(native_quantile(0.9, [each.nanoseconds for each in found]), SECOND)
            for labels, found in _edges(_on_edge(case)).items()
        }
    )


def classic_p90_by_server_of_the_client(case: Case) -> Answer:
    found = _edges(_from_client(case), ["server"])
    return Answer({labels: _p90(requests) for labels, requests in found.items()})


def _totals(edges: Mapping[Labels, Sequence[Request]]) -> Answer:
    return Answer({labels: len(requests) for labels, requests in edges.items()})


def increase_of_each_edge(case: Case) -> Answer:
    return _totals(_edges(case.shop.requests))


def increase_of_each_edge_to_the_server(case: Case) -> Answer:
    return _totals(_edges(_to_server(case)))


def increase_of_each_edge_from_the_client(case: Case) -> Answer:
    return _totals(_edges(_from_client(case)))


def increase_by_client_of_the_server(case: Case) -> Answer:
    return _totals(_edges(_to_server(case), ["client"]))


def increase_by_server_of_the_client(case: Case) -> Answer:
    return _totals(_edges(_from_client(case), ["server"]))


def rate_by_client_of_the_server(case: Case) -> Answer:
    return _request_rates(case, _edges(_to_server(case), ["client"]))


def rate_by_server_of_the_client(case: Case) -> Answer:
    return _request_rates(case, _edges(_from_client(case), ["server"]))


# Tempo's topology dashboard, whose labels are made by the query


def total_of_each_edge(case: Case) -> Answer:
    by = ("client", "server", "connection_type")
    values: dict[Labels, float] = {}
    for labels, requests in _edges(case.shop.requests, by).items():
        client, server = requests[0].client, requests[0].server
        made = {"id": f"{client}->{server}", "source": client, "target": server}
        kept = {"__name__": "traces_service_graph_request_total", **dict(labels)}
        values[labels_of(**kept, **made)] = len(requests)
    return Answer(values)


def the_busiest_edge_of_each_client(case: Case) -> Answer:
    return _busiest(case, "client")


def the_busiest_edge_of_each_server(case: Case) -> Answer:
    return _busiest(case, "server")


def _busiest(case: Case, side: str) -> Answer:
    by = ("client", "server", "connection_type")
    values: dict[Labels, float] = defaultdict(float)
    for requests in _edges(case.shop.requests, by).values():
        name = getattr(requests[0], side)
        labels = labels_of(**{side: name}, id=name, title=name, color="#1F3A6E")
        values[labels] = max(values[labels], len(requests))
    return Answer(values)
