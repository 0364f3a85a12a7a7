"""The edges of some spans by a plain join over all of them in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import Span

PEERS = ("service.peer.name", "peer.service", "server.address", "net.peer.name")
NAMES = (*PEERS, "db.namespace", "db.name", "db.system.name", "db.system", "messaging.system")
NO_ID = bytes(8)
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5

Key = tuple[bytes, bytes]
"""The id of a trace and that of a span."""

Delivery = tuple[int, str, Span]
"""When a span arrived, in nanoseconds, the service that sent it, and the span."""


@dataclass
class Edge:
    """What one edge adds up to; sums in nanoseconds."""

    requests: int = 0
    failed: int = 0
    client_ns: list[int] = field(default_factory=list)
    server_ns: list[int] = field(default_factory=list)


@dataclass
class Graph:
    """Edges by client, server and type of connection, and what made none, by reason."""

    edges: dict[tuple[str, str, str], Edge]
    unpaired: Counter[str]


def plain_join(deliveries: Iterable[Delivery], wait_ns: int) -> Graph:
    """Every side joined with every other that names it and arrived less than `wait_ns` apart."""
    spans: dict[Key, Delivery] = {}
    for delivery in deliveries:
        spans.setdefault((delivery[2].trace_id, delivery[2].span_id), delivery)
    graph = Graph(defaultdict(Edge), Counter())
    called: set[Key] = set()
    for arrival, service, span in spans.values():
        if span.kind in (SERVER, CONSUMER):
            called |= _join(graph, _near(spans, arrival, wait_ns), service, span)
    for key, (_, service, span) in spans.items():
        if span.kind in (CLIENT, PRODUCER) and key not in called:
            kind = "database" if _calls_database(span) else "virtual_node"
            if peer := _peer(span):
                _add(graph, (service, peer, kind), span, span)
            else:
                graph.unpaired["no_server"] += 1
    return graph


def _near(
    spans: Mapping[Key, Delivery], arrival: int, wait_ns: int
) -> Callable[[Key], Delivery | None]:
    def find(key: Key) -> Delivery | None:
        found = spans.get(key)
        return found if found and abs(found[0] - arrival) < wait_ns else None

    return find


def _join(
    graph: Graph, near: Callable[[Key], Delivery | None], service: str, server: Span
) -> set[Key]:
    """Join a server with the clients that it names; returns their keys."""
    consumes = server.kind == CONSUMER
    links = {(link.trace_id, link.span_id) for link in server.links} if consumes else set()
    parent = {(server.trace_id, server.parent_span_id)} if any(server.parent_span_id) else set()
    called = set()
    for key in links | parent:
        optional = links and key not in links
        found = near(key)
        if found and found[2].kind in ((PRODUCER,) if optional else (CLIENT, PRODUCER)):
            called.add(key)
            _add(graph, (found[1], service, _type(found[2], server)), found[2], server)
        elif not optional:
            is_side = found and found[2].kind in (SERVER, CONSUMER)
            graph.unpaired["not_a_client" if is_side else "no_client"] += 1
    if not links | parent:
        client = _peer(server) if consumes else "user"
        if client:
            _add(graph, (client, service, "virtual_node"), None, server)
        else:
            graph.unpaired["no_client"] += 1
    return called


def _add(graph: Graph, key: tuple[str, str, str], client: Span | None, server: Span) -> None:
    edge = graph.edges[key]
    edge.requests += 1
    edge.failed += 2 in (server.status.code, client.status.code if client else 0)
    edge.server_ns.append(_duration(server))
    if client is not None:
        edge.client_ns.append(_duration(client))


def _type(client: Span, server: Span) -> str:
    if _calls_database(client):
        return "database"
    return "messaging_system" if client.kind == PRODUCER or server.kind == CONSUMER else ""


def _attributes(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span.attributes}


def _peer(span: Span) -> str | None:
    attributes = _attributes(span)
    return next((attributes[key] for key in NAMES if attributes.get(key)), None)


def _calls_database(span: Span) -> bool:
    return any(key.startswith("db.") and key in NAMES for key in _attributes(span))


def _duration(span: Span) -> int:
    return max(0, span.end_time_unix_nano - span.start_time_unix_nano)
