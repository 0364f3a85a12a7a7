"""The scrape endpoint over a real socket."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from client_model import read_delimited
from spanmill.clock import SystemClock
from spanmill.exporters.scrape import ScrapeApp
from spanmill.http_server import ConnectionLimits, HttpServer
from spanmill.series.registry import Registry

Eventually = Callable[[Callable[[], object], str], None]

DEFAULT_LIMITS = ConnectionLimits(write=0.2)


class Endpoint:
    """A registry behind a running server."""

    def __init__(self, limits: ConnectionLimits = DEFAULT_LIMITS) -> None:
        self.registry = Registry(SystemClock())
        self.ready = True
        self.counter = self.registry.counter("x_total", "X.", ("kind",))
        self.app = ScrapeApp(self.registry, lambda: self.ready, created_timestamps=False)
        self.server = HttpServer(self.app, "127.0.0.1", 0, "scrape endpoint", limits=limits)
        self.server.bind()
        self.server.start()

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        with urllib3.HTTPConnectionPool("127.0.0.1", self.server.port) as pool:
            return pool.urlopen(
                method, path, headers=headers, decode_content=False, redirect=False, retries=False
            )

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def connect(self, request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        connection.sendall(request)
        return connection

    def fill(self, series: int) -> None:
        for i in range(series):
            self.counter.add(1, f"{i:01000}")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.stop(5)


def value_of(body: bytes) -> float:
    (family,) = text_string_to_metric_families(body.decode())
    return sum(float(sample.value) for sample in family.samples)


def test_metrics_are_text_unless_something_else_is_asked_for(endpoint: Endpoint) -> None:
    endpoint.counter.add(3, "a")
    response = endpoint.request("GET", "/metrics")
    assert response.status == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in response.headers
    assert "server" not in response.headers
    assert value_of(response.data) == 3


def test_the_accept_header_chooses_the_format(endpoint: Endpoint) -> None:
    endpoint.counter.add(3, "a")
    accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5"
    response = endpoint.request("GET", "/metrics", {"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text;")
    assert response.data.endswith(b"# EOF\n")
    accept = (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    )
    response = endpoint.request("GET", "/metrics", {"Accept": accept})
    assert response.headers["content-type"].startswith("application/vnd.google.protobuf;")
    (family,) = read_delimited(response.data)
    assert family.metric[0].counter.value == 3


def test_gzip_is_sent_where_it_is_accepted(endpoint: Endpoint) -> None:
    endpoint.fill(500)
    response = endpoint.request("GET", "/metrics", {"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert value_of(gzip.decompress(response.data)) == 500
    assert len(response.data) < 100_000
    for refusal in ("gzip;q=0", "identity", "gzip;q=0, *"):
        response = endpoint.request("GET", "/metrics", {"Accept-Encoding": refusal})
        assert "content-encoding" not in response.headers
        assert value_of(response.data) == 500


def test_head_gets_the_headers_of_get(endpoint: Endpoint) -> None:
    endpoint.counter.add(3, "a")
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        get = endpoint.request("GET", path)
        head = endpoint.request("HEAD", path)
        assert (head.status, head.data) == (get.status, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("content-length") == get.headers.get("content-length")


def test_a_client_of_http_1_0_gets_a_body_without_chunks(endpoint: Endpoint) -> None:
    endpoint.counter.add(3, "a")
    head, _, body = endpoint.raw(b"GET /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"content-length: %d" % len(body) in head
    assert value_of(body) == 3


def test_what_is_too_large_in_one_piece_is_refused_to_a_client_of_http_1_0(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = count_chunks(monkeypatch, 10_000)
    head = endpoint.raw(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 505 ")
    assert b"HTTP/1.1" in head.partition(b"\r\n\r\n")[2]
    assert rendered.chunks < 1100


def test_health_says_ok_while_the_process_lives(endpoint: Endpoint) -> None:
    endpoint.ready = False
    response = endpoint.request("GET", "/healthz")
    assert (response.status, response.data) == (200, b"ok\n")


def test_readiness_follows_what_the_pipeline_says(endpoint: Endpoint) -> None:
    assert endpoint.request("GET", "/readyz").status == 200
    endpoint.ready = False
    response = endpoint.request("GET", "/readyz")
    assert (response.status, response.data) == (503, b"not ready\n")


def test_the_index_links_to_all_pages(endpoint: Endpoint) -> None:
    response = endpoint.request("GET", "/")
    assert response.headers["content-type"].startswith("text/html")
    for path in (b"metrics", b"healthz", b"readyz", b"series"):
        assert b'href="%b"' % path in response.data


def test_series_is_a_small_document_about_every_processor(endpoint: Endpoint) -> None:
    sets = endpoint.registry.label_sets(("service", "span_name"), 3, 10**9, "span_metrics")
    names = [("shop", f"{i}" + "x" * 1000) for i in range(5_000)]
    with endpoint.registry.lock:
        sets.rows(names, 0, np.ones(len(names), np.int64))
        sets.expire(1)
    response = endpoint.request("GET", "/series")
    assert response.headers["content-type"] == "application/json"
    assert len(response.data) < 10_000
    figures = json.loads(response.data)["processors"]["span_metrics"]
    assert (figures["series"], figures["limit"]) == (3, 3)
    assert figures["demand"] == pytest.approx(5_000, rel=0.07)
    assert figures["overflow_ratio"] == pytest.approx(4_997 / 5_000)
    assert [label["label"] for label in figures["labels"]] == ["span_name", "service"]
    assert [service["service"] for service in figures["services"]] == ["shop"]
    assert len(figures["overflow_examples"]) == 5


def test_series_is_there_while_every_scrape_waits(
    endpoint: Endpoint, eventually: Eventually
) -> None:
    endpoint.fill(10_000)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
            stack.enter_context(endpoint.connect(request))
        eventually(lambda: endpoint.app.scrapes >= 4, "scrapes are rendered")
        assert endpoint.request("GET", "/series").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/series/",
        "/metrics/",
        "/metrics/x",
        "/metrics%2f",
        "/%6detrics",
        "/x/../metrics",
        "/../metrics",
        "/..%2fmetrics",
        "/./metrics",
        "/metrics;x",
        "/METRICS",
        "/metrics%00",
        "/metrics%0a",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/\\metrics",
    ],
)
def test_every_other_path_is_not_found(endpoint: Endpoint, path: str) -> None:
    head, _, body = endpoint.raw(
        b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path.encode()
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"content-type: text/plain; charset=utf-8" in head
    assert body == b"not found\n"


def test_a_query_changes_nothing(endpoint: Endpoint) -> None:
    assert endpoint.request("GET", "/metrics?name[]=x&debug=1").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(endpoint: Endpoint, method: str) -> None:
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        response = endpoint.request(method, path)
        assert response.status == 405
        assert response.headers["allow"] == "GET, HEAD"


def test_an_accept_header_of_100_kb_gets_an_answer(endpoint: Endpoint) -> None:
    endpoint.counter.add(3, "a")
    for element in ("text/html;level=1;q=0.5,", ",", "a"):
        accept = (element * 100_000)[:100_000]
        response = endpoint.request("GET", "/metrics", {"Accept": accept})
        assert response.status == 200
        assert value_of(response.data) == 3


def test_scrapes_at_the_same_time_all_get_an_answer(endpoint: Endpoint) -> None:
    endpoint.fill(200)
    sums: list[float] = []

    def scrape() -> None:
        sums.append(value_of(endpoint.request("GET", "/metrics").data))

    threads = [threading.Thread(target=scrape) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [200.0] * 16


def test_a_crowd_of_scrapes_that_wait_is_bounded(
    endpoint: Endpoint, eventually: Eventually
) -> None:
    connections = []
    with endpoint.registry.lock:  # no snapshot can be taken
        for _ in range(20):
            connections.append(endpoint.connect(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"))
        eventually(lambda: endpoint.app.scrapes == 20, "all of them are waiting")
        response = endpoint.request("GET", "/metrics")
        assert response.status == 503
        assert response.headers["retry-after"] == "1"
    for connection in connections:
        with connection:
            response_ = http.client.HTTPResponse(connection)
            response_.begin()
            assert response_.status == 200


def test_a_client_that_reads_nothing_is_cut_and_its_rendering_ends(
    endpoint: Endpoint, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.fill(1000)
    rendered = count_chunks(monkeypatch, 10_000)
    with endpoint.connect(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"):
        eventually(lambda: rendered.ended, "the rendering is given up")
    assert rendered.chunks < 10_000


def test_clients_that_read_slowly_give_their_place_to_others(
    eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(ConnectionLimits(write=20, answer=0.3))
    try:
        rendered = count_chunks(monkeypatch, 10_000)
        slow = [endpoint.connect(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(4)]
        eventually(lambda: rendered.chunks >= 4, "they hold every place")

        def given_up() -> bool:
            for connection in slow:
                connection.settimeout(0.01)
                with contextlib.suppress(OSError):
                    connection.recv(65536)
            return endpoint.app.scrapes == 0

        eventually(given_up, "they have lost their places")
        monkeypatch.undo()
        assert endpoint.request("GET", "/metrics").status == 200
        for connection in slow:
            connection.close()
    finally:
        endpoint.server.stop(5)


def test_a_client_that_leaves_ends_its_rendering(
    endpoint: Endpoint, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = count_chunks(monkeypatch, 10_000)
    connection = endpoint.connect(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert connection.recv(65536)
    connection.close()
    eventually(lambda: rendered.ended, "the rendering is given up")
    assert 0 < rendered.chunks < 10_000
    assert endpoint.request("GET", "/healthz").status == 200


class Rendered:
    """How far a rendering has come, and whether nobody asks for more of it."""

    chunks = 0
    ended = False


def count_chunks(monkeypatch: pytest.MonkeyPatch, chunks: int) -> Rendered:
    """Render many chunks of 64 KiB, and count those that were taken."""
    rendered = Rendered()

    def render(*args: object, **kwargs: object) -> Iterator[bytes]:
        try:
            for _ in range(chunks):
                rendered.chunks += 1
                yield b"#" * 65535 + b"\n"
        finally:
            rendered.ended = True

    monkeypatch.setattr("spanmill.exporters.scrape.render", render)
    return rendered


def test_a_snapshot_that_fails_is_an_error_and_not_an_empty_scrape(endpoint: Endpoint) -> None:
    def fail() -> None:
        raise RuntimeError("this gauge can't be read")

    endpoint.registry.before_snapshot(fail)
    assert endpoint.request("GET", "/metrics").status == 500
    assert endpoint.request("GET", "/healthz").status == 200
