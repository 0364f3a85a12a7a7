"""How long a scrape of many label sets takes, how much memory, and for how long others wait."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from time import gmtime, strftime
from typing import Final

from benchmarks.exposition.collector import CollectorScrape, HistogramKind, filled_collector
from benchmarks.exposition.filled import Filled, Watched, end, serve, watch_begins, watch_ends
from benchmarks.exposition.requests import Template, requests, templates
from benchmarks.exposition.scraping import ACCEPT, Scrape, scrape
from benchmarks.ingest.machine import describe
from benchmarks.ingest.table import put
from benchmarks.ingest.targets import Collector, components_folder
from spanmill.clock import Clock, SystemClock

_COMMAND: Final = ("python", "-m", "benchmarks.exposition")
_TABLE: Final = "benchmarks.exposition"
_SETTINGS: Final[dict[str, object]] = {"service_graph": None, "percentiles": None}
_COLUMNS: Final = (
    "| process | format | seconds | MB | MB sent | RSS steady, MB | peak, MB | peak ratio "
    "| lock held, ms | wait for lock, ms | late thread, ms |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)
_TIMEOUT: Final = 60.0
_COLLECTOR_SCRAPES: Final[tuple[tuple[HistogramKind, str, bool], ...]] = (
    ("exponential", "text", False),
    ("exponential", "protobuf", False),
    ("explicit", "text", False),
)


def main(arguments: Sequence[str], environment: Mapping[str, str], clock: Clock) -> int:
    """Measure, and print a table or put it into a page."""
    options = _parser(environment).parse_args(arguments)
    found = templates(options.label_sets)
    rows = list(_spanmill(found, options.label_sets, options.rounds))
    versions = [describe()]
    if options.collector:
        collector = Collector(options.components / "otelcol")
        versions.append(collector.version())
        rows += _collector(options.components / "otelcol", found)
    day = strftime("%Y-%m-%d", gmtime(clock.time_ns() // 1_000_000_000))
    command = shlex.join([*_COMMAND, *arguments])
    text = f"Taken on {day} with `{command}`: {'; '.join(versions)}.\n\n{_COLUMNS}\n"
    text += "\n".join(rows)
    if options.write is None:
        print(text)
    else:
        put(options.write, _TABLE, text)
    return 0


def _spanmill(found: list[Template], label_sets: int, rounds: int) -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    settings = {
        **_SETTINGS,
        "span_metrics": {"dialects": ["tempo"], "max_series": label_sets + label_sets // 10},
    }
    process = context.Process(target=serve, args=(theirs, settings), daemon=True)
    process.start()
    for body in requests(found):
        ours.send_bytes(body)
    ours.send_bytes(b"")
    filled: Filled = ours.recv()
    assert filled.series == label_sets, f"{filled.series} label sets instead of {label_sets}"
    _show(f"{filled.series:,} label sets: {filled.rss:.0f} MB, {filled.empty_rss:.0f} MB empty")
    idle = _quiet(ours)
    yield _row("spanmill", "no scrape, for 2 s", None, filled.rss, idle)
    for form in ACCEPT:
        for gzip in (False, True):
            best: tuple[Scrape, Watched] | None = None
            for _ in range(rounds):
                watch_begins(ours)
                took = scrape(filled.url, form, gzip=gzip, timeout=_TIMEOUT)
                watched = watch_ends(ours)
                _show(f"{form} {'gzip ' * gzip}{took} {watched}")
                if best is None or took.seconds < best[0].seconds:
                    best = took, watched
            assert best is not None
            yield _row("spanmill", form + ", gzip" * gzip, best[0], filled.rss, best[1])
    end(process, ours)


def _quiet(connection: Connection) -> Watched:
    """What the probes see while nothing happens: the machine's own pauses."""
    watch_begins(connection)
    time.sleep(2.0)
    return watch_ends(connection)


def _row(process: str, form: str, took: Scrape | None, rss: float, watched: Watched) -> str:
    pauses = watched.pauses
    cells = [process, form]
    if took is None:
        cells += ["", "", ""]
    else:
        cells += [f"{took.seconds:.2f}", f"{took.size / 1e6:,.0f}", f"{took.wire / 1e6:,.0f}"]
    cells += [
        f"{rss:,.0f}",
        f"{watched.peak_rss:,.0f}",
        f"{watched.peak_rss / rss:.2f}",
        f"{pauses.held:.1f}",
        f"{pauses.lock:.1f}",
        f"{pauses.gil:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _collector(binary: Path, found: list[Template]) -> Iterator[str]:
    for histogram in dict.fromkeys(kind for kind, _, _ in _COLLECTOR_SCRAPES):
        with filled_collector(binary, histogram, requests(found)) as collector:
            for kind, form, gzip in _COLLECTOR_SCRAPES:
                if kind == histogram:
                    took = collector.scraped(form, gzip=gzip, timeout=_TIMEOUT)
                    _show(f"Collector, {histogram}, {form}: {took}")
                    yield _collector_row(histogram, form, took)


def _collector_row(histogram: str, form: str, took: CollectorScrape) -> str:
    found = took.scrape
    seconds = (found.failure and f"nothing in {found.seconds:.0f}") or f"{found.seconds:.2f}"
    cells = [
        f"Collector, {histogram}",
        form,
        seconds,
        f"{found.size / 1e6:,.0f}",
        f"{found.wire / 1e6:,.0f}",
        f"{took.rss:,.0f}",
        f"{took.peak_rss:,.0f}",
        f"{took.peak_rss / took.rss:.2f}",
    ]
    return f"| {' | '.join(cells)} | | | |"


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=" ".join(_COMMAND), description=__doc__)
    add = parser.add_argument
    add("--label-sets", type=int, default=250_000, metavar="N", help="default: %(default)s")
    add(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="scrapes of each format; the best is shown",
    )
    add("--collector", action="store_true", help="also the real Collector; takes minutes and 5 GB")
    add(
        "--components",
        type=Path,
        metavar="FOLDER",
        default=components_folder(environment),
        help="where otelcol is (default: what SPANMILL_COMPONENTS names)",
    )
    add("--write", type=Path, metavar="PAGE", help="put the table into this Markdown page")
    return parser


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, SystemClock()))
