"""Destinations that misbehave beside one that is well: who is slowed, and what the books say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from exporters.otlp.peers import Action, Answer, Drip, Hang, HttpPeer, Reset
from faults.experiment import Experiment
from waiting import Eventually

ACTIONS: Mapping[str, Action] = {
    "never-answers": Hang(),
    "rubbish": Answer(200, b"\xff\x00 no protobuf"),
    "resets": Reset(),
    "a-byte-a-while": Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"),
}
BACKLOG = 64 * 1024


@pytest.fixture
def peers() -> Iterator[dict[str, HttpPeer]]:
    there = {name: HttpPeer() for name in ACTIONS}
    for name, peer in there.items():
        peer.otherwise = lambda _body, action=ACTIONS[name]: action  # type: ignore[misc]  # a default binds it now
    yield there
    for peer in there.values():
        peer.close()


@pytest.mark.parametrize("durability", ["synced", "memory"])
def test_bad_destinations_slow_nobody_and_the_books_balance(
    tmp_path: Path, peers: dict[str, HttpPeer], durability: str, eventually: Eventually
) -> None:
    destinations: dict[str, Any] = {
        name: {
            "endpoint": f"http://127.0.0.1:{peer.port}",
            "timeout": "500ms",
            "max_backlog": BACKLOG,
            "retry": {"initial_interval": "50ms", "max_interval": "200ms"},
        }
        for name, peer in peers.items()
    }
    state = {"durability": durability, "directory": str(tmp_path / "state")}
    with Experiment(tmp_path, 1, state, destinations=destinations) as experiment:
        experiment.start()
        tally = experiment.clients.tally
        eventually(lambda: tally.acknowledged_batches > 300, "requests are taken")
        eventually(lambda: all(peer.seen for peer in peers.values()), "each peer was asked")
        verdict = experiment.conclude()
        last = experiment.watch.scrape()
    assert verdict.faults == []
    assert last is not None

    def outcome(name: str, outcome: str) -> float:
        labels = (f'exporter="{name}"', f'outcome="{outcome}"')
        return last.sum("spanmill_export_spans_total", *labels)

    print(verdict)
    for name in ("sink", *peers):
        parts = (outcome(name, "delivered"), outcome(name, "expired"))
        print(f"{name}: {parts[0]:,.0f} spans delivered, {parts[1]:,.0f} expired")
    assert outcome("sink", "expired") == 0
    for name in ("never-answers", "resets"):
        assert outcome(name, "delivered") == 0
        assert outcome(name, "expired") > 0, name
    # A success whose text can't be read is a success all the same.
    assert outcome("rubbish", "delivered") > 0
