"""CPU time of sending one body after another to a local sink: a bare socket beside urllib3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import urllib3

from benchmarks.ingest.machine import split_cpus
from benchmarks.ingest.process import pinned, wait_until
from benchmarks.ingest.targets import free_ports

_SPAN_BYTES: Final = 613
_SIZES: Final = (6_100, 314_000, 1 << 20, 4 << 20)
_BYTES_A_ROUND: Final = 100 << 20
_ROUNDS: Final = 3

Send = Callable[[bytes], object]


def main() -> None:
    """Print microseconds a body and a span, the least of some rounds."""
    sending, sink = split_cpus(os.sched_getaffinity(0))
    (port,) = free_ports(1)
    with pinned(sink):
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.ingest.sink", str(port)])
    try:
        wait_until(lambda: _listens(port), 10.0)
        with pinned(sending):
            for size in _SIZES:
                for name, send in (("bare socket", _bare(port)), ("urllib3", _urllib3(port))):
                    seconds = _seconds(send, os.urandom(size))
                    span = seconds / (size / _SPAN_BYTES)
                    print(
                        f"{size:>9,} B {name:<12} {seconds * 1e6:6.0f} µs {span * 1e6:7.3f} a span"
                    )
    finally:
        process.terminate()
        process.wait()


def _seconds(send: Send, body: bytes) -> float:
    count = max(25, min(150, _BYTES_A_ROUND // len(body)))
    taken = []
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for _ in range(count):
            send(body)
        taken.append((time.process_time() - begun) / count)
    return min(taken)


def _bare(port: int) -> Send:
    connection = socket.create_connection(("127.0.0.1", port))

    def send(body: bytes) -> None:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: sink\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        connection.sendall(body)
        connection.recv(4096)

    return send


def _urllib3(port: int) -> Send:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, timeout=10.0)
    return lambda body: pool.urlopen("POST", "/v1/traces", body=body, retries=False)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
