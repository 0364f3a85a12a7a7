from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from benchmarks.ingest.books import Books, Delivered, scrape

BALANCED = Books(
    sent=1000,
    acknowledged=1000,
    counted={"calls_total": 1000.0, "other_calls_total": 1000.0},
    delivered=Delivered(spans=1000, distinct=1000),
)


def test_books_that_balance_are_not_void() -> None:
    assert BALANCED.void() is None


def test_nothing_need_be_delivered_where_nothing_is_forwarded() -> None:
    assert replace(BALANCED, delivered=None).void() is None


@pytest.mark.parametrize(
    ("books", "reason"),
    [
        (
            replace(BALANCED, failures=("UNAVAILABLE: queue full", "UNKNOWN: lost")),
            "2 requests failed, the first with UNAVAILABLE: queue full",
        ),
        (replace(BALANCED, acknowledged=990), "990 of 1,000 spans acknowledged"),
        (
            replace(BALANCED, counted={"calls_total": 1000.0, "other_calls_total": 1001.0}),
            "1,001 of 1,000 spans counted in other_calls_total",
        ),
        (replace(BALANCED, delivered=Delivered(999, 999)), "999 of 1,000 spans delivered"),
        (
            # One was lost and another came twice: the number alone would not tell.
            replace(BALANCED, delivered=Delivered(1000, 999)),
            "999 of 1,000 spans delivered",
        ),
        (replace(BALANCED, delivered=Delivered(1010, 1000)), "10 spans delivered twice"),
    ],
)
def test_a_difference_between_two_sides_makes_the_figures_void(books: Books, reason: str) -> None:
    assert books.void() == reason


def test_a_scrape_is_read_until_the_last_of_its_counters() -> None:
    exposition = b"".join(
        (
            b"# HELP calls_total Calls.\n# TYPE calls_total counter\n",
            b'calls_total{a="b c"} 2\ncalls_total{a="#"} 40\n',
            b"# TYPE other_total counter\nother_total 1\n",
            b"# TYPE calls_total_too counter\ncalls_total_too 1000\n",
            b'# TYPE size_total counter\nsize_total{a="calls_total 7"} 1.5e+3\n',
            b"# TYPE end gauge\nend 1\n",
        )
    )
    with served(exposition) as url:
        assert scrape(url, ["calls_total", "size_total"]) == {
            "calls_total": 42.0,
            "size_total": 1500.0,
        }


def test_no_answer_is_nothing_counted() -> None:
    with served(b"") as url:
        pass
    assert scrape(url, ["calls_total"]) == {"calls_total": 0.0}


@contextmanager
def served(body: bytes) -> Iterator[str]:
    """The address of a server that answers every GET with this body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
