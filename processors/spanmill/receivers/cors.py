"""Cross-origin requests of browsers, as the Fetch standard has them (its section 3.2, CORS)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spanmill.config.cors import ANY_ORIGIN, CorsConfig
from spanmill.http_server.asgi import App, Message, Receive, Scope, Send

_OTLP_HEADERS: Final = ("content-type", "content-encoding", "authorization")
_EXPOSED: Final = b"retry-after"  # an exporter in a browser must see when to try again

Headers = list[tuple[bytes, bytes]]


class Cors:
    """An application that answers preflights itself and lets chosen pages read its answers.

    Its errors carry the headers as well, so that a page sees what is wrong. A preflight has no
    credentials by the standard, so it is answered before anyone is asked for a token. A page that
    isn't allowed gets the same answer as a client that is no browser: the browser hides it, and
    doesn't send what needs a preflight, as every OTLP request does.
    """

    def __init__(self, app: App, config: CorsConfig) -> None:
        self._app = app
        self._any = ANY_ORIGIN in config.allowed_origins
        self._exact = frozenset(o.encode() for o in config.allowed_origins if "*" not in o)
        self._below = [_below(o) for o in config.allowed_origins if "://*." in o]
        headers = dict.fromkeys((*_OTLP_HEADERS, *config.allowed_headers))
        self._preflight: Headers = [
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", ", ".join(headers).encode()),
            (b"access-control-max-age", b"%d" % config.max_age),
        ]
        self._credentials: Headers = (
            [(b"access-control-allow-credentials", b"true")] if config.allow_credentials else []
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        origin = _only(scope, b"origin")
        allowed = self._allowed(origin)
        if (
            scope["method"] == "OPTIONS"
            and origin
            and _only(scope, b"access-control-request-method")
        ):
            headers = [*allowed, *self._preflight] if allowed else []
            await send(_start(204, [*headers, (b"vary", b"origin")]))
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = [(b"access-control-expose-headers", _EXPOSED)] if allowed else []
                more = [*allowed, *exposed, (b"vary", b"origin")]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _allowed(self, origin: bytes | None) -> Headers:
        """The headers that let this origin read an answer; none where it may not."""
        if origin is None or not (self._any or origin in self._exact or self._is_below(origin)):
            return []
        shown = b"*" if self._any else origin
        return [(b"access-control-allow-origin", shown), *self._credentials]

    def _is_below(self, origin: bytes) -> bool:
        return any(
            origin.startswith(scheme)
            and origin.endswith(domain)
            and _is_host(origin[len(scheme) : -len(domain)])
            for scheme, domain in self._below
        )


def _below(origin: str) -> tuple[bytes, bytes]:
    """ "https://*.example.com:8443" as b"https://" and b".example.com:8443"."""
    scheme, _, domain = origin.partition("*")
    return scheme.encode(), domain.encode()


def _is_host(label: bytes) -> bool:
    """Whether this is one label of a host name or several, and no user, port or path."""
    return bool(label) and all(
        part and part.replace(b"-", b"").replace(b"_", b"").isalnum() for part in label.split(b".")
    )


def _only(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header that comes once."""
    values: Sequence[bytes] = [value for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 else None


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}
