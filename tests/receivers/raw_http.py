"""HTTP/1.1 spoken by hand, for what no HTTP client can be made to send."""

from __future__ import annotations

import http.client
import socket

from receivers.clients import PROTOBUF, TIMEOUT, Answer, http_answer


class RawHttp:
    """One connection on which any bytes can be sent."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)

    def __enter__(self) -> RawHttp:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self._socket.sendall(data)

    def reset(self) -> None:
        """Close the connection with a reset instead of an orderly end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def receive(self) -> bytes:
        """Some bytes, or none at the end of the connection."""
        return self._socket.recv(65536)

    def status(self) -> int:
        """The status of the next response, of whatever kind; its body is read."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        response.read()
        return response.status

    def answer(self) -> Answer:
        """The next response as OTLP's client sees it."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return http_answer(response.status, dict(response.getheaders()), response.read())


def post_head(*headers: str, path: str = "/v1/traces", media_type: str = PROTOBUF) -> bytes:
    """The head of a request, with its empty line."""
    lines = [f"POST {path} HTTP/1.1", "Host: t", f"Content-Type: {media_type}", *headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
