"""Which services are always too late for a window."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_log = logging.getLogger(__name__)

_HOUR_NS: Final = 3_600_000_000_000
_MOST_SERVICES: Final = 1_000


@dataclass(slots=True)
class _Lateness:
    """A service of which every span was late since `since_ns`."""

    since_ns: int
    last_ns: int
    logged_ns: int | None = None


class LateServices:
    """Finds the services of which every span is too late, for a whole window.

    A clock that is slow, or a queue that is long, is told so: by a line of the log once an hour
    for each, and by their number. At most 1,000 services are watched at a time.
    """

    def __init__(self, processor: str, window_ns: int) -> None:
        self._processor = processor
        self._window_ns = window_ns
        self._late: dict[str, _Lateness] = {}

    def observe(self, late: Iterable[str], in_time: Iterable[str], now_ns: int) -> None:
        """Take note of the services that had late spans, and of those that had others."""
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
        return len(always)

    def _log(self, service: str) -> None:
        _log.warning(
            "every span of a service is too late for the window",
            extra={
                "processor": self._processor,
                "service": service,
                "window_seconds": self._window_ns // 1_000_000_000,
            },
        )
