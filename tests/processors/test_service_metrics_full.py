"""What a sender of many names costs the others while there is no room for more series."""

from __future__ import annotations

import pytest

from points.otlp_metrics import NOW, SECOND, buckets, gauge, histogram, number, request
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


def test_characters_of_four_bytes_take_the_room_of_four() -> None:
    plain, emoji = Shown(max_series=100), Shown(max_series=100)
    for shown, character in ((plain, "x"), (emoji, "😀")):
        points = (number(1, attributes={"k": character * 1000 + str(i)}) for i in range(100))
        shown.send(request(gauge(*points)))
        assert shown.estimated_bytes <= 100 * 4096
    assert plain.books() == {"counted_own": 100}
    assert emoji.books()["counted_overflow"] > 20


def test_names_and_help_texts_count() -> None:
    shown = Shown(max_series=100)
    for i in range(100):
        metric = histogram(buckets([], [1]), name="x" * 1000 + str(i))
        metric.description = "😀" * 1020
        shown.send(request(metric))
    assert shown.books()["counted_overflow"] > 50
    assert shown.estimated_bytes <= 100 * 4096
    assert {len(shown.family(name).help) for name in shown.names()} == {256}


def test_what_expired_is_not_counted_any_more() -> None:
    shown = Shown(stale_after_ns=SECOND)
    empty = shown.estimated_bytes
    resource = {"service.name": "shop", "host.name": "h"}
    shown.send(request(gauge(number(1)), histogram(buckets([1.0], [1, 1])), resource=resource))
    assert shown.estimated_bytes > empty
    shown.tick(NOW + SECOND)
    assert (shown.estimated_bytes, shown.remembered_keys()) == (empty, 0)


def test_a_name_too_long_to_translate_is_not_shown() -> None:
    shown = Shown()
    shown.send(request(gauge(number(1), name="a" + "." * 5000)))
    assert shown.filtered() == {"no_name": 1}
