"""Which services are always too late for a window."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spanmill.journal.state import State
from spanmill.series.elapsed import Elapsed
from spanmill.series.state_reader import StateReader

_log = logging.getLogger(__name__)

_HOUR_NS: Final = 3_600_000_000_000
_MOST_SERVICES: Final = 1_000


@dataclass(slots=True)
class _Lateness:
    """A service of which every span was late since `since_ns`, as `Elapsed` counts."""

    since_ns: int
    last_ns: int
    logged_ns: int | None = None


class LateServices:
    """Finds the services of which every span is too late, for a whole window.

    A clock that is slow, or a queue that is long, is told so: by a line of the log once an hour
    for each, and by their number. At most 1,000 services are watched at a time. Where the clock
    is set back, what it has measured goes on from there (`Elapsed`).
    """

    def __init__(self, processor: str, window_ns: int) -> None:
        self._processor = processor
        self._window_ns = window_ns
        self._late: dict[str, _Lateness] = {}
        self._elapsed = Elapsed(max(window_ns, _HOUR_NS) + 1)
        self.always = 0
        """How many services were always late as of the last report."""

    def observe(self, late: Iterable[str], in_time: Iterable[str], now_ns: int) -> None:
        """Take note of the services that had late spans, and of those that had others."""
        now_ns = self._elapsed.at(now_ns)
        for service in late:
            found = self._late.get(service)
            if found is not None:
                found.last_ns = now_ns
            elif len(self._late) < _MOST_SERVICES:
                self._late[service] = _Lateness(now_ns, now_ns)
        for service in in_time:
            self._late.pop(service, None)

    def watches(self) -> bool:
        """Whether any service may turn out to be always late."""
        return bool(self._late)

    def report(self, now_ns: int) -> int:
        """Log those that are always late; returns how many there are now."""
        now_ns = self._elapsed.at(now_ns)
        gone = [
            service
            for service, found in self._late.items()
            if now_ns - found.last_ns > self._window_ns
        ]
        for service in gone:
            del self._late[service]
        always = [
            (service, found)
            for service, found in self._late.items()
            if found.last_ns - found.since_ns >= self._window_ns
        ]
        for service, found in always:
            if found.logged_ns is None or now_ns - found.logged_ns >= _HOUR_NS:
                found.logged_ns = now_ns
                self._log(service)
        self.always = len(always)
        return self.always

    def state(self) -> State:
        """What a restart brings back."""
        late = self._late
        return {
            "elapsed": self._elapsed.state(),
            "services": list(late),
            "since_ns": [found.since_ns for found in late.values()],
            "last_ns": [found.last_ns for found in late.values()],
            "logged_ns": [found.logged_ns for found in late.values()],
            "always": self.always,
        }

    def restore(self, state: StateReader) -> None:
        """Take over a state; raises CheckpointError where it is none."""
        services = state.texts("services")
        since, last = state.values("since_ns"), state.values("last_ns")
        logged = state.values("logged_ns")
        if not len(services) == len(since) == len(last) == len(logged) <= _MOST_SERVICES:
            raise state.error("its late services are not one each")
        if {type(time) for time in (*since, *last)} - {int} or {type(time) for time in logged} - {
            int,
            type(None),
        }:
            raise state.error("its late services have no times")
        always = state.integer("always")
        self._elapsed.restore(state.part("elapsed"))
        times = zip(services, since, last, logged, strict=True)
        self._late = {service: _Lateness(*found) for service, *found in times}
        self.always = always

    def _log(self, service: str) -> None:
        _log.warning(
            "every span of a service is too late for the window",
            extra={
                "processor": self._processor,
                "service": service,
                "window_seconds": self._window_ns // 1_000_000_000,
            },
        )
