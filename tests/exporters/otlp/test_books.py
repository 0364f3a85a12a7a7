"""The books at every scrape, while destinations do all that they can do wrong."""

from __future__ import annotations

import itertools
import random

import grpc
import pytest

from exporters.otlp.house import House, Scraper
from exporters.otlp.peers import (
    Abort,
    Action,
    Answer,
    Drip,
    GrpcPeer,
    Hang,
    HttpPeer,
    Reset,
    partial,
)
from exporters.otlp.requests import metrics_of, names_in, points_in, request_of
from exporters.otlp.settings_for import settings_for
from spanmill.exporters.otlp.signals import METRICS, TRACES, OtlpSignal
from waiting import Eventually

KIB = 1024


@pytest.mark.parametrize(("seed", "in_flight"), list(itertools.product(range(3), [1, 4])))
@pytest.mark.parametrize("signal", [TRACES, METRICS], ids=lambda signal: signal.name)
def test_the_books_balance_at_every_scrape_whatever_the_destination_does(
    http_peer: HttpPeer,
    grpc_peer: GrpcPeer,
    eventually: Eventually,
    *,
    seed: int,
    signal: OtlpSignal,
    in_flight: int,
) -> None:
    rng = random.Random(seed)
    house = House("tempo", "jaeger", seed=seed)
    answers = _RandomAnswers(seed)
    http_peer.otherwise = answers.http
    grpc_peer.otherwise = answers.grpc
    small = {
        "signal": signal,
        "max_backlog": 300 * KIB,
        "max_request_bytes": 64 * KIB,
        "timeout": 0.2,
        "max_in_flight": in_flight,
    }
    make = request_of if signal is TRACES else metrics_of
    names_of = names_in if signal is TRACES else points_in
    house.open(
        settings_for(http_peer.port, **small),  # type: ignore[arg-type]  # by name
        settings_for(grpc_peer.port, "grpc", name="jaeger", **small),  # type: ignore[arg-type]
    )
    scraper = Scraper(house)
    for n in range(300):
        names = [f"{n:03d}-{k}" for k in range(rng.randrange(5))]
        padding = rng.choice([0, 100, 10 * KIB, 40 * KIB, 70 * KIB])
        house.accept(make(*names, padding=padding), len(names), signal)
    answers.calm()
    for name in house.names:
        eventually(lambda name=name: house.settled(name, signal), "everything is answered for")  # type: ignore[misc]  # bound now
    scraper.close()
    assert scraper.scrapes > 0
    for name, peer in (("tempo", http_peer), ("jaeger", grpc_peer)):
        outcomes = house.outcomes(name, signal)
        assert set(outcomes) <= {"delivered", "rejected_by_peer", "dead_lettered", "expired"}
        # An answer that came too late was asked for once more.
        delivered = list(dict.fromkeys(name for body in peer.taken for name in names_of(body)))
        assert in_flight > 1 or delivered == sorted(delivered)
        assert len(delivered) >= outcomes["delivered"]
    house.close()


class _RandomAnswers:
    """What a peer in trouble answers, the same for the same seed and order of requests."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._calm = False

    def calm(self) -> None:
        self._calm = True

    def http(self, body: bytes) -> Action:
        choices: list[Action] = [
            *[Answer()] * 4,
            Answer(200, partial(1, "one")),
            Answer(200, b"rubbish"),
            Answer(503, headers={"retry-after": "0"}),
            Answer(429),
            Answer(400, b"no"),
            Answer(404),
            Answer(413),
            Reset(),
            Hang(),
            Drip(),
        ]
        return Answer() if self._calm else self._rng.choice(choices)

    def grpc(self, body: bytes) -> Action:
        codes = grpc.StatusCode
        choices: list[Action] = [
            *[Answer()] * 4,
            Answer(body=partial(1, "one")),
            Answer(body=b"rubbish"),
            Abort(codes.UNAVAILABLE, "later"),
            Abort(codes.RESOURCE_EXHAUSTED, "full", retry_after=0.001),
            Abort(codes.RESOURCE_EXHAUSTED, "received message larger than max"),
            Abort(codes.INVALID_ARGUMENT, "no"),
            Abort(codes.PERMISSION_DENIED, "no"),
            Hang(),
        ]
        return Answer() if self._calm else self._rng.choice(choices)
