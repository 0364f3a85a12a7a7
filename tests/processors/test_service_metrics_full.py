"""What a sender of many names costs the others while there is no room for more series."""

from __future__ import annotations

import pytest

from points.otlp_metrics import NOW, SECOND, gauge, number, request
from processors.shown_metrics import Shown
from spanmill.processors import service_metrics
from spanmill.series.registry import Registry


class Work:
    """Counts the calls of what a new name costs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self._count(monkeypatch, service_metrics, "translated_name")
        self._count(monkeypatch, service_metrics, "series_labels")
        self._count(monkeypatch, service_metrics, "sender_labels")
        self._count(monkeypatch, Registry, "claim")

    def _count(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*args: object) -> object:
            self.calls += 1
            return real(*args)

        monkeypatch.setattr(owner, name, counted)


def full(names: int = 3) -> Shown:
    shown = Shown(max_series=names)
    shown.send(request(*(gauge(number(1), name=f"known.{i}") for i in range(names))))
    return shown


def test_new_names_cost_no_translation_and_forget_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = full()
    work = Work(monkeypatch)
    remembered = shown.remembered_keys()
    for sender in range(20):
        others = (gauge(number(1), name=f"new.{sender}.{i}") for i in range(10))
        shown.send(request(*others, resource={"service.name": f"s{sender}"}))
    assert (work.calls, shown.remembered_keys()) == (0, remembered)
    known = (gauge(number(2, time=NOW + 1), name=f"known.{i}") for i in range(3))
    shown.send(request(*known))
    assert work.calls == 0
    assert shown.books() == {"counted_own": 6, "counted_overflow": 200}


def test_a_known_name_of_another_sender_still_finds_its_series() -> None:
    shown = full()
    for version in ("1", "2"):
        shown.send(
            request(
                gauge(number(2, time=NOW + 1), name="known.1"),
                resource={"service.name": "shop", "service.version": version},
            )
        )
    assert list(shown.values("known_1").values()) == [2.0]
    assert shown.books() == {"counted_own": 4, "filtered": 1}


def test_names_that_were_spelt_in_too_many_ways_are_still_found() -> None:
    shown = Shown(max_series=2)
    for i in range(1, 9):
        shown.send(request(gauge(number(1, time=NOW + i), name="a" + "." * i + "b")))
    shown.send(request(gauge(number(1), name="c"), gauge(number(1), name="d")))
    shown.send(request(gauge(number(2, time=NOW + 9), name="a/b")))
    assert list(shown.values("a_b").values()) == [2.0]
    assert shown.books() == {"counted_own": 10, "counted_overflow": 1}


def test_streams_that_made_no_series_are_not_remembered() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1), name="日")))
    assert shown.remembered_keys() == 0


def test_new_names_are_shown_again_once_there_is_room() -> None:
    shown = Shown(max_series=1, stale_after_ns=SECOND)
    shown.send(request(gauge(number(1), name="a"), gauge(number(1), name="b")))
    shown.tick(NOW + SECOND)
    shown.send(request(gauge(number(1), name="b")), arrival=NOW + SECOND)
    assert shown.names() == ["b"]
