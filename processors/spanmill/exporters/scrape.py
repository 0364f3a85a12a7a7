"""The scrape endpoint: what Prometheus reads, and whether this process lives and is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from spanmill.exporters.exposition import Format, accepts_gzip, load_renderer, negotiate, render
from spanmill.exporters.exposition.compression import gzip_chunks
from spanmill.exporters.scrape_access import OPEN_TO_ALL, ScrapeAccess
from spanmill.exporters.series_page import series_page
from spanmill.http_server import Receive, Scope, Send
from spanmill.series.registry import Registry

_CONCURRENT: Final = 4
_WAITING: Final = 16
_LARGEST_WHOLE: Final = 64 * 1024 * 1024

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


Headers = list[tuple[bytes, bytes]]


class ScrapeApp:
    """An ASGI application with `/metrics`, `/healthz`, `/readyz` and `/series`.

    An exposition is rendered in a thread, a chunk ahead of what the client has taken, so that
    memory stays bounded, the event loop answers others meanwhile, and a client that goes away
    ends it. A few are rendered at a time, some more wait, the rest get 503.

    Memory of each: what `Registry.families` says, two chunks of about 512 KiB and their copies on
    the way to the socket, and in the protobuf form one message of 4 MiB; for a client of
    HTTP/1.0, which knows no chunks, as much as 64 MiB.
    """

    def __init__(
        self,
        registry: Registry,
        ready: Callable[[], bool],
        created_timestamps: bool,
        restored: Callable[[], bool] = lambda: True,
        access: ScrapeAccess = OPEN_TO_ALL,
    ) -> None:
        """`restored` says whether the series are those from before the start again."""
        self._access = access
        self._registry = registry
        self._ready = ready
        self._restored = restored
        self._created_timestamps = created_timestamps
        self._kernel = load_renderer()
        self._slots = asyncio.Semaphore(_CONCURRENT)
        self._idle: list[ThreadPoolExecutor] = []
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
        elif challenges := self._access.challenges_to(scope):
            # /healthz and /readyz stay open: an orchestrator that asks has no token.
            await _answer(send, 401, b"this needs a token or a password\n", challenges)
        elif not self._restored():
            # What is there now is less than was shown before: a fall, and so a reset, to rate().
            await _answer(send, 503, b"the series are being restored\n", [(b"retry-after", b"1")])
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

        rendered = self._render(choice.format)
        chunks = gzip_chunks(rendered) if compressed else rendered
        # Always the same one, if it is idle: each would keep some memory that it has freed.
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(1, "scrape")
        try:
            if scope["http_version"] == "1.0":
                await _send_whole(chunks, send, headers, thread)
            else:
                await _send_chunks(chunks, send, headers, gone, thread)
        finally:
            self._idle.append(thread)

    def _render(self, form: Format) -> Iterator[bytes]:
        families = self._registry.families(
            native=form is Format.PROTOBUF, exemplars=form is not Format.TEXT
        )
        return render(
            families, form, created_timestamps=self._created_timestamps, kernel=self._kernel
        )


async def _send_chunks(
    chunks: Iterator[bytes],
    send: Send,
    headers: Headers,
    gone: asyncio.Future[None],
    thread: Executor,
) -> None:
    """Send each chunk while the next one is rendered."""
    loop = asyncio.get_running_loop()
    # What fails before the first one is there gets another answer than 200.
    chunk = await loop.run_in_executor(thread, next, chunks, None)
    await _start(send, 200, headers)
    while chunk is not None and not gone.done():
        coming = loop.run_in_executor(thread, next, chunks, None)
        await _body(send, chunk, more=True)
        chunk = await coming
    await _body(send, b"", more=False)


async def _send_whole(
    chunks: Iterator[bytes], send: Send, headers: Headers, thread: Executor
) -> None:
    """Send all of it to a client that knows no chunks (HTTP/1.0), if it isn't too much."""
    whole = await asyncio.get_running_loop().run_in_executor(thread, _joined, chunks)
    if whole is None:
        text = b"this is too large for HTTP/1.0, use HTTP/1.1\n"
        await _answer(send, 505, text)
        return
    await _start(send, 200, [*headers, (b"content-length", b"%d" % len(whole))])
    await _body(send, whole, more=False)


def _joined(chunks: Iterator[bytes]) -> bytes | None:
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _LARGEST_WHOLE:
            return None
        taken.append(chunk)
    return b"".join(taken)


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
    headers: Headers | None = None,
    content_type: str = _PLAIN,
) -> None:
    length = (b"content-length", b"%d" % len(body))
    await _start(send, status, [(b"content-type", content_type.encode()), length, *(headers or [])])
    await _body(send, body, more=False)


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
