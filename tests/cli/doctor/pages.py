"""A server whose pages a test writes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Page = Callable[[Mapping[str, str]], tuple[int, bytes]]
"""What a page answers to the query's fields: a status and a body."""


class PageServer(ThreadingHTTPServer):
    """Pages by path; a path without one is 404."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, Page]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        self.server.headers_seen.append({k.lower(): v for k, v in self.headers.items()})
        parts = urlsplit(self.path)
        fields = {key: values[0] for key, values in parse_qs(parts.query).items()}
        page = self.server.pages.get(parts.path)
        status, body = (404, b"") if page is None else page(fields)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextlib.contextmanager
def served(pages: Mapping[str, Page]) -> Iterator[PageServer]:
    server = PageServer(pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
