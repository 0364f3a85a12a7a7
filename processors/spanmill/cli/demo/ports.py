"""Loopback ports: the usual ones where they are free, others where they are not."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from spanmill.errors import StartError

LOOPBACK = "127.0.0.1"

GRPC = "OTLP over gRPC"
HTTP = "OTLP over HTTP"
METRICS = "the metrics page"
PREFERRED: Mapping[str, int] = {GRPC: 4317, HTTP: 4318, METRICS: 9464}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The processor's addresses, as a user types them."""

    grpc: str
    http: str
    scrape: str
    ready: str

    @classmethod
    def on(cls, numbers: Mapping[str, int]) -> Endpoints:
        """The addresses on the ports for each purpose."""
        grpc, http, metrics = (
            f"http://{LOOPBACK}:{numbers[purpose]}" for purpose in (GRPC, HTTP, METRICS)
        )
        return cls(grpc, http, f"{metrics}/metrics", f"{metrics}/readyz")


def choose_ports(preferred: Mapping[str, int]) -> dict[str, int]:
    """One free port for each purpose, all different; the preferred one if it is free.

    They are free at the moment of the choice; whoever binds one later must still be ready to
    find it taken.
    """
    ports = {}
    with ExitStack() as held:  # until all are chosen, so that none is chosen twice
        for purpose, number in preferred.items():
            try:
                listener = held.enter_context(listen(number))
            except OSError:
                listener = held.enter_context(listen())
            ports[purpose] = port_of(listener)
    return ports


def listen(port: int = 0) -> socket.socket:
    """A listening loopback socket; `port` 0 is any free one. OSError if it is taken."""
    return socket.create_server((LOOPBACK, port), backlog=128)


def listen_anywhere() -> socket.socket:
    """A listening loopback socket on any free port. StartError if loopback can't be used."""
    try:
        return listen()
    except OSError as error:
        raise StartError(f"can't listen on {LOOPBACK}: {error.strerror}") from error


def port_of(listener: socket.socket) -> int:
    """The port that a socket is bound to."""
    number: int = listener.getsockname()[1]
    return number
