"""CPU time a request of servers that only receive, taken in turns, each pinned to one CPU."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import grpc
import urllib3

from benchmarks.ingest.machine import describe, split_cpus
from benchmarks.ingest.payloads import read_recording, regroup
from benchmarks.ingest.process import pinned
from benchmarks.ingest.targets import free_ports
from benchmarks.transport.servers import KINDS, SERVICE

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PROJECT: Final = Path(__file__).resolve().parents[2]
_WARM_UP: Final = 200


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to serve: a kind, and what else is set."""

    kind: str
    threads: int = 64
    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    prefix: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Variant:
        """From `KIND[,threads=N][,NAME=VALUE]...`; names in capitals go into the environment."""
        kind, *settings = text.split(",")
        threads, options, environment = 64, [], []
        for setting in settings:
            name, _, value = setting.partition("=")
            if name == "threads":
                threads = int(value)
            elif name.isupper():
                environment.append((name, value))
            else:
                options.append(setting)
        return cls(kind, threads, tuple(options), tuple(environment))


@dataclass(frozen=True, slots=True)
class Round:
    """Microseconds of CPU and of time a request."""

    cpu: float
    elapsed: float


def main(arguments: Sequence[str]) -> None:
    """Measure each variant in turns, and print the medians beside the first variant's."""
    options = _parser().parse_args(arguments)
    variants = {text: Variant.of(text) for text in options.variants}
    rounds: dict[str, list[Round]] = {text: [] for text in variants}
    body = _real_request(options.spans) if options.spans else os.urandom(options.bytes)
    for _ in range(options.rounds):
        for text, variant in variants.items():
            rounds[text].append(_measure(variant, body, options))
            print(f"{text}: {rounds[text][-1].cpu:.0f} µs", file=sys.stderr, flush=True)
    print(f"{describe()}; {len(body):,} bytes a request, {options.in_flight} in flight\n")
    print("| server | CPU a request, µs | ratio | requests/s |\n| --- | ---: | ---: | ---: |")
    first = median(each.cpu for each in rounds[options.variants[0]])
    for text, taken in rounds.items():
        cpu = median(each.cpu for each in taken)
        rate = 1e6 / median(each.elapsed for each in taken)
        print(f"| {text} | {cpu:.0f} | {cpu / first:.2f} | {rate:,.0f} |")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transport", description=__doc__)
    add = parser.add_argument
    kinds = ", ".join(KINDS)
    add("variants", nargs="+", help=f"KIND[,threads=N][,OPTION=N][,VARIABLE=TEXT]; kinds: {kinds}")
    add("--requests", type=int, default=3000, help="a round (default: %(default)s)")
    add("--rounds", type=int, default=3, help="of each variant, in turns (default: %(default)s)")
    add("--bytes", type=int, default=314_000, help="of a request (default: 512 real spans)")
    add("--spans", type=int, help="send a real request of so many spans instead of random bytes")
    add("--in-flight", type=int, default=4, help="requests (default: %(default)s)")
    add("--cpus", type=int, default=1, help="for the server, 1 or all (default: %(default)s)")
    return parser


def _real_request(spans: int) -> bytes:
    """The first recorded spans."""
    recording = read_recording(_PROJECT.parent / "shared/data/astronomy-oteltraces.zst")
    return regroup(recording, spans, spans)[0].SerializeToString()


def _measure(variant: Variant, body: bytes, options: argparse.Namespace) -> Round:
    target, load = split_cpus(os.sched_getaffinity(0))
    if options.cpus > 1:
        target = frozenset(os.sched_getaffinity(0))
    (port,) = free_ports(1)
    with _serving(variant, port, target) as pid, pinned(load):
        export, close = _http(port) if variant.kind.startswith("http") else _grpc(port)
        _send(export, body, _WARM_UP, options.in_flight)
        before, begun = _cpu_seconds(pid), time.perf_counter()
        _send(export, body, options.requests, options.in_flight)
        elapsed, used = time.perf_counter() - begun, _cpu_seconds(pid) - before
        close()
    return Round(used / options.requests * 1e6, elapsed / options.requests * 1e6)


@contextmanager
def _serving(variant: Variant, port: int, cpus: frozenset[int]) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.transport.servers", variant.kind, str(port)]
    environment = {**os.environ, **dict(variant.environment)}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(_PROJECT), str(_PROJECT / "processors"), environment.get("PYTHONPATH", "")]
    )
    with pinned(cpus):
        server = subprocess.Popen(
            [*command, str(variant.threads), *variant.options],
            env=environment,
            stdout=subprocess.PIPE,
        )
    assert server.stdout is not None, "it is piped"
    try:
        if server.stdout.readline() != b"serving\n":
            raise SystemExit(f"{variant} does not serve")
        yield server.pid
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def _grpc(port: int) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", -1)])
    export = channel.unary_unary(f"/{SERVICE}/Export", bytes, bytes)
    return lambda body: export(body, timeout=60.0), channel.close


def _http(port: int) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=64, block=True)
    headers = {"content-type": "application/x-protobuf"}

    def export(body: bytes) -> None:
        answer = pool.urlopen("POST", "/v1/traces", body=body, headers=headers, retries=False)
        assert answer.status == 200, answer.status

    return export, pool.close


def _send(export: Callable[[bytes], object], body: bytes, count: int, in_flight: int) -> None:
    """Send it `count` times, `in_flight` at once."""
    sent = []
    with ThreadPoolExecutor(in_flight) as threads:
        for share in range(in_flight):
            requests = len(range(share, count, in_flight))
            sent.append(threads.submit(_repeat, export, body, requests))
    for each in sent:
        each.result()


def _repeat(export: Callable[[bytes], object], body: bytes, count: int) -> None:
    for _ in range(count):
        export(body)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


if __name__ == "__main__":
    main(sys.argv[1:])
