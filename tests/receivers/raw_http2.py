"""gRPC spoken by hand over HTTP/2, for what no gRPC client can be made to send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from receivers.clients import EXPORT, TIMEOUT

_STREAM = 1


def framed(body: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A message with gRPC's prefix of compressed flag and length, both of which may lie."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


@dataclass
class RawAnswer:
    """What came back: headers and trailers together, and the bytes of the messages."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""

    @property
    def status(self) -> int:
        """The number of the gRPC status."""
        return int(self.headers["grpc-status"])

    @property
    def message(self) -> str:
        """The text of the gRPC status."""
        return self.headers.get("grpc-message", "")


class RawConnection:
    """One HTTP/2 connection with at most one call at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._flush()
        self._next_stream = _STREAM

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(
        self, data: bytes, *, path: str = EXPORT, headers: Sequence[tuple[str, str]] = ()
    ) -> RawAnswer:
        """Make a call with these bytes as its messages, and wait for its answer."""
        stream = self.begin(data, path=path, headers=headers)
        self._h2.end_stream(stream)
        self._flush()
        return self.answer(stream)

    def begin(
        self, data: bytes = b"", *, path: str = EXPORT, headers: Sequence[tuple[str, str]] = ()
    ) -> int:
        """Begin a call and send these bytes, without its end; returns the stream's number."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "t")]
        grpc_headers = [("content-type", "application/grpc"), ("te", "trailers")]
        self._h2.send_headers(stream, [*pseudo, *grpc_headers, *headers])
        if data:
            self._h2.send_data(stream, data)  # tests send less than one window and frame
        self._flush()
        return stream

    def reset(self, stream: int, error_code: int = 8) -> None:
        """Take the call back (8 is CANCEL)."""
        self._h2.reset_stream(stream, error_code)
        self._flush()

    def ping(self, times: int) -> tuple[int, bytes | None]:
        """Ping one after the other; returns the answers, and why the server hung up, if so."""
        answered = 0
        for number in range(times):
            self._h2.ping(struct.pack(">Q", number))
            self._flush()
            while answered <= number:
                for event in self._events():
                    if isinstance(event, h2.events.PingAckReceived):
                        answered += 1
                    elif isinstance(event, h2.events.ConnectionTerminated):
                        return answered, event.additional_data
        return answered, None

    def answer(self, stream: int) -> RawAnswer:
        """Wait for the end of a call."""
        answer = RawAnswer()
        while True:
            for event in self._events():
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    answer.headers.update((str(key), str(value)) for key, value in event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    answer.data += event.data
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    return answer
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError(f"the stream was reset: {event.error_code}")

    def _events(self) -> Sequence[h2.events.Event]:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the server closed the connection")
        events = self._h2.receive_data(received)
        self._flush()
        return events

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())
