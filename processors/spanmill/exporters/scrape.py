"""The scrape endpoint: what Prometheus reads, and whether this process lives and is ready."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from spanmill.exporters.exposition import accepts_gzip, negotiate, render
from spanmill.exporters.series_page import series_page
from spanmill.http_server import Receive, Scope, Send
from spanmill.series.registry import Registry

_CONCURRENT: Final = 4
_WAITING: Final = 16
_GZIP_LEVEL: Final = 1  # level 6 takes three times as long, to save an eighth: labels repeat
_GZIP_WINDOW: Final = 31  # zlib's largest, with gzip's header and trailer

_PLAIN: Final = "text/plain; charset=utf-8"
_INDEX: Final = b"""<!doctype html>
<html lang="en"><title>spanmill</title>
<h1>spanmill</h1>
<ul>
<li><a href="metrics">/metrics</a>: everything that is derived, for Prometheus</li>
<li><a href="healthz">/healthz</a>: whether the process lives</li>
<li><a href="readyz">/readyz</a>: whether it takes requests</li>
<li><a href="series">/series</a>: what fills the series, in JSON</li>
</ul>
</html>
"""


class ScrapeApp:
    """An ASGI application with `/metrics`, `/healthz`, `/readyz` and `/series`.

    An exposition is rendered in a thread, a chunk at a time as the client takes it, so that
    memory stays bounded, the event loop answers others meanwhile, and a client that goes away
    ends it. A few are rendered at a time, some more wait, the rest get 503.
    """

    def __init__(
        self, registry: Registry, ready: Callable[[], bool], created_timestamps: bool
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._created_timestamps = created_timestamps
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._page_slot = asyncio.Semaphore(1)
        self.scrapes = 0
        """How many are rendered or wait."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # The path as it was sent: an encoded slash or letter makes another path, not ours.
        path = scope["raw_path"].decode("latin-1")
        if path not in {"/", "/metrics", "/healthz", "/readyz", "/series"}:
            await _answer(send, 404, b"not found\n")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, b"method not allowed\n", [(b"allow", b"GET, HEAD")])
        elif path == "/":
            await _answer(send, 200, _INDEX, content_type="text/html; charset=utf-8")
        elif path == "/healthz":
            await _answer(send, 200, b"ok\n")
        elif path == "/readyz":
            ready = self._ready()
            await _answer(send, 200 if ready else 503, b"ready\n" if ready else b"not ready\n")
        elif path == "/series":
            async with self._page_slot:
                page = await asyncio.to_thread(series_page, self._registry)
            await _answer(send, 200, page, content_type="application/json")
        elif self.scrapes >= _CONCURRENT + _WAITING:
            await _answer(send, 503, b"too many scrapes\n", [(b"retry-after", b"1")])
        else:
            await self._scrape(scope, receive, send)

    async def _scrape(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scrapes += 1
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            async with self._slots:
                if not gone.done():
                    await self._send_exposition(scope, send, gone)
        finally:
            self.scrapes -= 1
            gone.cancel()

    async def _send_exposition(self, scope: Scope, send: Send, gone: asyncio.Future[None]) -> None:
        choice = negotiate(_header(scope, b"accept"))
        compressed = accepts_gzip(_header(scope, b"accept-encoding"))
        headers = [
            (b"content-type", choice.content_type.encode()),
            (b"vary", b"accept, accept-encoding"),
        ]
        if compressed:
            headers.append((b"content-encoding", b"gzip"))
        if scope["method"] == "HEAD":
            await _start(send, 200, headers)
            await _body(send, b"", more=False)
            return

        def chunks() -> Iterator[bytes]:
            families = self._registry.families()
            rendered = render(families, choice.format, created_timestamps=self._created_timestamps)
            return _gzip(rendered) if compressed else rendered

        iterator = await asyncio.to_thread(chunks)
        if scope["http_version"] == "1.0":  # knows no chunks
            whole = await asyncio.to_thread(b"".join, iterator)
            await _start(send, 200, [*headers, (b"content-length", b"%d" % len(whole))])
            await _body(send, whole, more=False)
            return
        chunk = await asyncio.to_thread(next, iterator, None)
        await _start(send, 200, headers)
        while chunk is not None and not gone.done():
            await _body(send, chunk, more=True)
            chunk = await asyncio.to_thread(next, iterator, None)
        await _body(send, b"", more=False)


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as one gzip member, as they come."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    for chunk in chunks:
        compressed = compressor.compress(chunk)
        if compressed:
            yield compressed
    yield compressor.flush()


def _header(scope: Scope, name: bytes) -> str:
    """All headers of this name as one list, as RFC 9110 5.3 joins them."""
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")


async def _disconnect(receive: Receive) -> None:
    """Wait until the client is gone, and drop the body that a GET shouldn't have."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    content_type: str = _PLAIN,
) -> None:
    length = (b"content-length", b"%d" % len(body))
    await _start(send, status, [(b"content-type", content_type.encode()), length, *(headers or [])])
    await _body(send, body, more=False)


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
