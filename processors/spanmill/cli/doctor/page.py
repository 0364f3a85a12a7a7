"""The pages of the endpoints that are asked, over HTTP, each with a bound on time and size."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import urllib3

_SECONDS: Final = 10.0
_LARGEST: Final = 4 << 20


class NoAnswerError(Exception):
    """Nobody answers, or not as HTTP has it; the text says why, in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what came with it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body read as JSON; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


@dataclass(frozen=True, slots=True)
class Site:
    """One program's HTTP interface; `headers` go with every request.

    `context` says what https:// trusts; without one that is what the system trusts.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    context: ssl.SSLContext | None = None

    def get(self, path: str, fields: Mapping[str, str] | None = None) -> Answer:
        """GET a path; raises NoAnswerError."""
        return self._ask("GET", path, fields=dict(fields or {}))

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """POST a body; raises NoAnswerError."""
        return self._ask("POST", path, body=body, headers={"content-type": content_type})

    def lines(self, path: str, accept: str, prefixes: tuple[bytes, ...]) -> list[bytes] | int:
        """The lines of a page that begin with one of these, or the status where it isn't 200.

        The page may be a gigabyte: the other lines are dropped as they come.
        """
        with urllib3.PoolManager(ssl_context=self.context) as pool:
            try:
                answer = pool.request(
                    "GET",
                    self.url + path,
                    headers={**self.headers, "accept": accept},
                    timeout=urllib3.Timeout(connect=_SECONDS, read=3 * _SECONDS),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                if answer.status != 200:
                    return answer.status
                return [line for line in _lines(answer) if line.startswith(prefixes)]
            except urllib3.exceptions.HTTPError as error:
                raise NoAnswerError(innermost(error)) from error

    def _ask(self, method: str, path: str, **rest: Any) -> Answer:
        headers = {**self.headers, **rest.pop("headers", {})}
        with urllib3.PoolManager(ssl_context=self.context) as pool:
            try:
                answer = pool.request(
                    method,
                    self.url + path,
                    headers=headers,
                    timeout=_SECONDS,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    **rest,
                )
                body = answer.read(_LARGEST)
                answer.close()
            except urllib3.exceptions.HTTPError as error:
                raise NoAnswerError(innermost(error)) from error
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, body)


def innermost(error: BaseException) -> str:
    """The cause that lies deepest, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).lower()


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream(256 * 1024):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest
