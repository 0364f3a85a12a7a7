"""A trace destination in a process of its own: stores what it gets, counts the spans when asked.

Run as `python -m benchmarks.ingest.sink PORT`: `POST /v1/traces` stores a body over HTTP/1.1
keep-alive, `GET /received` answers what all bodies so far held. It parses nothing before it is
asked, so that it takes as little time as it can while something is measured.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httptools
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_ANSWER: Final = "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_STORED: Final = _ANSWER.format("application/x-protobuf", 0).encode()


@dataclass(slots=True)
class Store:
    """Bodies that were not counted yet, and what the counted ones held."""

    bodies: list[bytes] = field(default_factory=list)
    requests: int = 0
    spans: int = 0
    distinct: set[bytes] = field(default_factory=set)

    def received(self) -> dict[str, int]:
        """Requests, spans, and spans with different ids, so that none stands in for another."""
        for body in self.bodies:
            self.requests += 1
            inflated = gzip.decompress(body) if body.startswith(_GZIP_MAGIC) else body
            for resource in ExportTraceServiceRequest.FromString(inflated).resource_spans:
                for scope in resource.scope_spans:
                    self.spans += len(scope.spans)
                    self.distinct.update(span.trace_id + span.span_id for span in scope.spans)
        self.bodies.clear()
        return {"requests": self.requests, "spans": self.spans, "distinct": len(self.distinct)}


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests may follow each other without a pause."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._body: list[bytes] = []
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # a TCP server makes no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = []

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        assert self._transport is not None  # data comes after the connection was made
        if self._parser.get_method() == b"POST":
            self._store.bodies.append(b"".join(self._body))
            self._transport.write(_STORED)
        else:
            answer = json.dumps(self._store.received()).encode()
            self._transport.write(_ANSWER.format("application/json", len(answer)).encode() + answer)


async def serve(port: int) -> None:
    """Serve on a port of 127.0.0.1 until the process is ended."""
    store = Store()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(store), "127.0.0.1", port
    )
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Serve on the port that is the only argument."""
    asyncio.run(serve(int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
