from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from spanmill.cli.demo.incident import FIRST, LENGTH
from spanmill.cli.demo.ports import PREFERRED, Endpoints
from spanmill.cli.demo.scrape import Operation, Scrape, Totals
from spanmill.cli.demo.view import View
from spanmill.cli.demo.watch import SILENCE, Watch

OPERATION = Operation("payment", "POST /charges", "SPAN_KIND_SERVER")


@dataclass
class FakeProcess:
    name: str
    died: str | None = None

    def obituary(self) -> str | None:
        return self.died


@dataclass
class Stage:
    """A watch on a clock of its own: waiting moves it on, and runs what is due by then."""

    now: float = 1000.0
    answering: bool = True
    events: dict[float, Callable[[], None]] = field(default_factory=dict)
    ended: bool = False
    told: list[tuple[float, bool]] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    lifted: list[str] = field(default_factory=list)
    processor: FakeProcess = field(default_factory=lambda: FakeProcess("processor"))
    cart: FakeProcess = field(default_factory=lambda: FakeProcess("cart"))

    def __post_init__(self) -> None:
        self.watch = Watch(
            Endpoints.on(PREFERRED),
            processor=self.processor,
            services=[self.cart],
            let_payment_fail=lambda failing: self.told.append((self.now - 1000.0, failing)),
            read_metrics=self.read,
            clock=self,
        )

    def read(self, url: str, at: float) -> Scrape | None:
        assert url == "http://127.0.0.1:9464/metrics"
        calls = Totals(10 * (at - 1000.0))
        return Scrape(at, {OPERATION: calls}, 1) if self.answering else None

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        raise AssertionError("the demo needs no wall clock")

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        for at in [at for at in self.events if at <= self.now - 1000.0]:
            self.events.pop(at)()
        return self.ended

    def start(self) -> None:
        self.lifted.append("start")

    def update(self, view: View) -> None:
        self.views.append(view)

    def stop(self) -> None:
        self.lifted.append("stop")

    def run(self, seconds: float | None) -> None:
        self.watch.run(self, self, seconds)


def test_a_view_is_shown_every_second_until_the_time_is_over() -> None:
    stage = Stage()
    stage.run(4.5)
    assert [view.elapsed for view in stage.views] == [0.0, 1.0, 2.0, 3.0, 4.0, 4.5]
    assert stage.lifted == ["start", "stop"]
    assert stage.watch.elapsed == 4.5


def test_the_rates_are_those_of_the_metrics_page() -> None:
    stage = Stage()
    stage.run(30.0)
    (row,) = stage.views[-1].rows
    assert (row.operation, row.rate) == (OPERATION, 10.0)
    assert stage.watch.latest is not None
    assert stage.watch.latest.calls == 300.0


def test_the_user_ends_it_at_any_moment() -> None:
    stage = Stage()
    stage.events[7.0] = lambda: setattr(stage, "ended", True)
    stage.run(None)
    assert len(stage.views) == 7
    assert stage.lifted == ["start", "stop"]


def test_payment_is_told_once_when_to_fail_and_once_when_to_recover() -> None:
    stage = Stage()
    stage.run(FIRST + LENGTH + 20)
    assert stage.told == [(FIRST, True), (FIRST + LENGTH, False)]
    alarmed = [view.elapsed for view in stage.views if view.alarm]
    assert (alarmed[0], alarmed[-1]) == (FIRST, FIRST + LENGTH - 1)


def test_a_service_that_dies_is_told_once_and_the_others_go_on() -> None:
    stage = Stage()
    stage.events[3.0] = lambda: setattr(stage.cart, "died", "cart ended with exit code 1: no")
    stage.run(6.0)
    assert [len(view.notices) for view in stage.views] == [0, 0, 0, 1, 1, 1, 1]
    assert stage.watch.notices == ["cart ended with exit code 1: no"]


def test_the_death_of_the_processor_ends_it() -> None:
    stage = Stage()
    stage.events[3.0] = lambda: setattr(stage.processor, "died", "processor was killed")
    stage.run(None)
    assert stage.views[-1].notices == ("processor was killed",)
    assert stage.watch.elapsed == 3.0


def test_a_metrics_page_that_does_not_answer_is_told_until_it_does() -> None:
    stage = Stage()
    stage.events[2.0] = lambda: setattr(stage, "answering", False)
    stage.events[12.0] = lambda: setattr(stage, "answering", True)
    stage.run(14.0)
    silent = [view.elapsed for view in stage.views if "has not answered" in view.story]
    assert silent == [1 + SILENCE + i for i in range(1, 6)]
    assert all(stage.views[int(elapsed)].alarm for elapsed in silent)
