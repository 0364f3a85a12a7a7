"""What `spanmill explain-series` says about a running process."""

from __future__ import annotations

import argparse
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from spanmill.cli import explain_series
from spanmill.cli.main import main
from spanmill.clock import SystemClock
from spanmill.exporters.scrape import ScrapeApp
from spanmill.http_server import HttpServer
from spanmill.series.registry import Registry

NAMES = ("service", "span_name")
SECOND = 10**9


class Process:
    """A scrape endpoint over the label sets of one processor, at most 20."""

    def __init__(self) -> None:
        self.registry = Registry(SystemClock())
        self.sets = self.registry.label_sets(NAMES, 20, 900 * SECOND, "span_metrics")
        app = ScrapeApp(self.registry, lambda: True, created_timestamps=False)
        self.server = HttpServer(app, "127.0.0.1", 0, "scrape endpoint")
        self.server.bind()
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def send(self, keys: Sequence[tuple[str, str]]) -> None:
        with self.registry.lock:
            self.sets.rows(keys, 0, np.ones(len(keys), np.int64))

    def tick(self) -> None:
        self.registry.expire(10 * SECOND)


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.server.stop(5)


def explain(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    explain_series.configure(parser)
    return explain_series.run(parser.parse_args(arguments))


def test_below_the_limit_one_line_says_so(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.send([("shop", "GET /"), ("shop", "GET /cart")])
    process.tick()
    assert explain("--url", process.url) == 0
    assert capsys.readouterr().out == (
        "span_metrics: 2 of 20 series are in use; everything finds room\n"
    )


def test_in_overflow_it_names_the_label_and_the_service_with_examples(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.send([("shop", f"op{i}") for i in range(20)])
    process.send([("checkout", f"GET /order/{i}") for i in range(4_000)])
    process.tick()
    assert main(["explain-series", "--url", process.url + "/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"span_metrics: 20 of 20 series are in use; "
        r"about [34],\d\d\d label sets are asked for \(± 1\.6%\)",
        lines[0],
    )
    assert lines[1] == "  99.5% of the recent spans are in the overflow series"
    assert re.fullmatch(
        r"  service checkout asks for ~[34],\d\d\d label sets \(± 4\.6%\):", lines[3]
    )
    assert re.fullmatch(
        r"    label span_name of service checkout has ~[34],\d\d\d values, "
        r'such as "GET /order/\d+", "GET /order/\d+", "GET /order/\d+"',
        lines[4],
    )
    assert re.fullmatch(r"  distinct values of all services: span_name ~\S+, service ~2", lines[5])
    assert lines[6] == "  in the overflow series, for example:"
    assert len(lines) == 12
    for line in lines[7:]:
        assert re.fullmatch(r'    service="checkout", span_name="GET /order/\d+"', line)


def test_before_the_first_tick_it_says_what_is_missing(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.send([("shop", f"op{i}") for i in range(40)])
    assert explain("--url", process.url) == 0
    assert capsys.readouterr().out.splitlines() == [
        "span_metrics: 20 of 20 series are in use; about 20 label sets are asked for",
        "  50.0% of the recent spans are in the overflow series",
        "  0 label sets have lost their series to busier ones so far",
        "  what drives the number is known within 10 seconds",
    ]


def test_what_a_label_value_holds_can_not_steer_the_terminal(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    process.send([("shop", f"op{i}") for i in range(20)])
    process.send([("a\x1b[2J\u202e\n", f"x\x9b\ud800{i}" * 100) for i in range(30)])
    process.tick()
    assert explain("--url", process.url) == 0
    out = capsys.readouterr().out
    assert "service a\\x1b[2J\\u202e\\n asks for" in out
    assert all(line.isprintable() for line in out.splitlines())
    assert max(map(len, out.splitlines())) < 4_000


def test_one_processor_can_be_chosen(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    process.registry.label_sets(("client",), 7, None, "service_graph")
    assert explain("--url", process.url, "--processor", "service_graph") == 0
    assert capsys.readouterr().out == (
        "service_graph: 0 of 7 series are in use; everything finds room\n"
    )
    assert explain("--url", process.url, "--processor", "x") == 2
    assert capsys.readouterr().err == (
        "spanmill: there is no processor x; there are: span_metrics, service_graph\n"
    )


def test_a_process_that_is_not_there_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert main(["explain-series", "--url", url]) == 2
    assert capsys.readouterr() == (
        "",
        f"spanmill: nothing answers at {url}/series: connection refused\n",
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "--url must begin with"),
        ("127.0.0.1:9464", "--url must begin with"),
        ("ftp://127.0.0.1", "--url must begin with"),
        ("http://[", "nothing answers at"),
        ("http://127.0.0.1:x", "nothing answers at"),
    ],
)
def test_a_url_that_is_none_is_one_line_and_exit_code_2(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("--url", url) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"spanmill: {said}")
    assert err.count("\n") == 1


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """A server that gives one answer to one client; returns its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(answer: bytes) -> str:
        def once() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        threads.append(threading.Thread(target=once))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for thread in threads:
        thread.join(20)
    listening.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", "answers 404: is it spanmill's"),
        (b"HTTP/1.1 302 x\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", "answers 302"),
        (b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n[]", "doesn't answer as"),
        (b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n\xff\xfe", "doesn't answer as"),
        (b"HTTP/1.1 200 x\r\ncontent-length: 20\r\n\r\n{}", "nothing answers"),
        (b"SSH-2.0-x\r\n", "nothing answers"),
        (b"", "nothing answers"),
    ],
)
def test_an_answer_of_something_else_is_one_line_and_exit_code_2(
    answering: Callable[[bytes], str],
    answer: bytes,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert explain("--url", answering(answer)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
