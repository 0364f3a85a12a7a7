"""Clocks: this machine's against the process's, and the clients' by how late spans are."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final

from spanmill.cli.doctor.finding import Finding, ok, warn
from spanmill.cli.doctor.samples import Samples

_SKEW_SECONDS: Final = 3.0  # the Date header has whole seconds, and is renewed once a second
_LATE_SECONDS: Final = 60.0
"""The closing delay: what comes later than this, rates and scores don't see."""
_LATE_SHARE: Final = 0.01


def check_clock(date: str | None, now: float) -> Iterator[Finding]:
    """The `Date` of an answer beside `now`, seconds since the epoch."""
    if date is None:
        return
    try:
        skew = parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return
    if abs(skew) <= _SKEW_SECONDS:
        yield ok("clock", f"within {_SKEW_SECONDS:.0f} s of this machine's")
    else:
        direction = "ahead of" if skew > 0 else "behind"
        yield warn(
            "clock",
            f"{abs(skew):.0f} s {direction} this machine's",
            "set both by NTP: spans count when they arrive, and windows go by that clock",
        )


def check_lateness(samples: Samples) -> Iterator[Finding]:
    """How many spans came after the windows had closed, and services of which all do."""
    total = samples.sum("spanmill_span_lateness_seconds_count")
    in_time = samples.sum("spanmill_span_lateness_seconds_bucket", le=f"{_LATE_SECONDS:.0f}")
    in_time = in_time or samples.sum(
        "spanmill_span_lateness_seconds_bucket", le=f"{_LATE_SECONDS:.1f}"
    )
    if total:
        late = (total - in_time) / total
        if late > _LATE_SHARE:
            yield warn(
                "span lateness",
                f"{late:.1%} of the spans came more than {_LATE_SECONDS:.0f} s after their end",
                "look for a client that is slow to send, or whose clock is behind",
            )
        else:
            yield ok("span lateness", f"{1 - late:.1%} of the spans came within a minute")
    for labels, services in samples.each("spanmill_window_late_services"):
        if services:
            yield warn(
                f"windows of {labels.get('processor')}",
                f"all spans of {services:.0f} services come too late for them",
                "look for a service whose clock is behind",
            )
