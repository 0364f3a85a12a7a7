"""Whether every span sent was acknowledged, counted and delivered: figures are void otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import urllib3

_CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Delivered:
    """Spans that the sink got, and how many of them have ids of their own."""

    spans: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Books:
    """Spans sent, acknowledged, counted by each counter of the scrape, delivered to the sink.

    `delivered` is None where nothing is forwarded; `failures` are requests that got an error.
    """

    sent: int
    acknowledged: int
    counted: Mapping[str, float]
    delivered: Delivered | None
    failures: tuple[str, ...] = ()

    def void(self) -> str | None:
        """Why the figures mean nothing; None where all sides are equal."""
        if self.failures:
            return f"{len(self.failures):,} requests failed, the first with {self.failures[0]}"
        if self.acknowledged != self.sent:
            return f"{self.acknowledged:,} of {self.sent:,} spans acknowledged"
        for name, spans in self.counted.items():
            if spans != self.sent:
                return f"{spans:,.0f} of {self.sent:,} spans counted in {name}"
        if self.delivered and self.delivered.distinct != self.sent:
            return f"{self.delivered.distinct:,} of {self.sent:,} spans delivered"
        if self.delivered and self.delivered.spans != self.sent:
            return f"{self.delivered.spans - self.sent:,} spans delivered twice"
        return None


def scrape(url: str, counters: Iterable[str]) -> dict[str, float]:
    """The sum over all series of each of these counters, from a scrape in text form.

    They are 0 where there is no answer: a target that has ended has counted nothing. Reading ends
    with the last of the counters: a quarter of a million label sets have a gigabyte of buckets.
    """
    sums = dict.fromkeys(counters, 0.0)
    try:
        answer = urllib3.request("GET", url, retries=False, timeout=30.0, preload_content=False)
        if answer.status == 200:
            _sum(_lines(answer.stream(_CHUNK_BYTES)), sums)
        answer.close()
    except urllib3.exceptions.HTTPError:
        return dict.fromkeys(sums, 0.0)
    return sums


def _sum(lines: Iterable[bytes], sums: dict[str, float]) -> None:
    unread = {b"# TYPE %b " % name.encode(): name for name in sums}
    name = ""
    prefix = b"#"
    for line in lines:
        if line.startswith(b"# TYPE "):
            name = next((n for head, n in unread.items() if line.startswith(head)), "")
            if not unread and not name:
                return
            prefix = name.encode()
            unread.pop(b"# TYPE %b " % prefix, None)
        elif name and line.startswith(prefix):
            sums[name] += float(line.rpartition(b" ")[2])


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def received(port: int) -> Delivered:
    """What the sink on this port has got so far."""
    counts = urllib3.request(
        "GET", f"http://127.0.0.1:{port}/received", retries=False, timeout=60.0
    ).json()
    return Delivered(counts["spans"], counts["distinct"])
