"""Clients that send each batch until it is acknowledged, always the same bytes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
import urllib3

from faults.numbered import Batch, Numbers
from spanmill.clock import Clock

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_DETAILS: Final = "grpc-status-details-bin"
# OTLP specification, "OTLP/gRPC Response": what a client sends again.
_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
    }
)
_PATIENCE: Final = 10.0
"""Seconds to an answer that a client waits, but for those in a hurry."""
_HURRY: Final = (0.001, 0.02)
_RETRY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the process under test listens."""

    grpc: int
    http: int
    scrape: int


@dataclass(frozen=True, slots=True)
class Manners:
    """How clients send: spans a batch, seconds between batches, and shares of odd behaviour.

    `hasty` attempts have a deadline of milliseconds; `forgetful` batches are sent once more after
    they were acknowledged.
    """

    clients: int = 4
    spans: tuple[int, int] = (1, 200)
    pause: float = 0.02
    hasty: float = 0.05
    forgetful: float = 0.05


@dataclass(slots=True)
class Tally:
    """What clients saw, all of them together."""

    acknowledged_spans: int = 0
    acknowledged_batches: int = 0
    refused_for_now: int = 0
    unanswered: int = 0
    sent_twice_spans: int = 0
    refused_for_good: list[str] = field(default_factory=list)
    without_retry_delay: list[str] = field(default_factory=list)


class RefusedError(Exception):
    """An answer that isn't a success; `again` where the client shall send again."""

    def __init__(self, text: str, *, again: bool, has_delay: bool) -> None:
        super().__init__(text)
        self.again = again
        self.has_delay = has_delay


class Clients:
    """So many clients in threads, half of them over gRPC, half over HTTP."""

    def __init__(
        self, ports: Ports, manners: Manners, numbers: Numbers, clock: Clock, seed: int
    ) -> None:
        self._manners = manners
        self._numbers = numbers
        self._clock = clock
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._held = threading.Event()
        self._abandoned = threading.Event()
        self.tally = Tally()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(f"service-{number}", ports, number % 2, random.Random(seed * 1000 + number)),
                name=f"client-{number}",
                daemon=True,
            )
            for number in range(manners.clients)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def hold(self, *, on: bool) -> None:
        """Make no new batches meanwhile; what is under way is still sent."""
        (self._held.set if on else self._held.clear)()

    def finish(self, seconds: float) -> bool:
        """Make no new batches; whether all are acknowledged within this time."""
        self._ending.set()
        deadline = self._clock.monotonic() + seconds
        started = [thread for thread in self._threads if thread.ident is not None]
        for thread in started:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        self._abandoned.set()
        return not any(thread.is_alive() for thread in started)

    def _run(self, service: str, ports: Ports, first: int, rng: random.Random) -> None:
        manners = self._manners
        ways: Sequence[Callable[[bytes, float], None]] = (_over_grpc(ports), _over_http(ports))
        while not self._ending.wait(manners.pause * 2 * rng.random()):
            if self._held.is_set():
                continue
            spans = rng.randint(*manners.spans)
            batch = self._numbers.batch(service, spans, self._clock.time_ns())
            if not self._deliver(batch, ways, first, rng):
                return
            with self._lock:
                self.tally.acknowledged_batches += 1
                self.tally.acknowledged_spans += batch.spans
            if rng.random() < manners.forgetful:
                if not self._deliver(batch, ways, first, rng):
                    return
                with self._lock:
                    self.tally.sent_twice_spans += batch.spans

    def _deliver(
        self,
        batch: Batch,
        ways: Sequence[Callable[[bytes, float], None]],
        first: int,
        rng: random.Random,
    ) -> bool:
        """Send it until it is acknowledged; False once the clients are abandoned."""
        way = first
        while not self._abandoned.is_set():
            hasty = rng.random() < self._manners.hasty
            try:
                ways[way](batch.body, rng.uniform(*_HURRY) if hasty else _PATIENCE)
            except RefusedError as refused:
                self._note(refused)
            except OSError:
                with self._lock:
                    self.tally.unanswered += 1
            else:
                return True
            # The same client over another connection, and sometimes another protocol.
            way = rng.choice((first, first, 1 - first))
            self._abandoned.wait(_RETRY_SECONDS)
        return False

    def _note(self, refused: RefusedError) -> None:
        with self._lock:
            if not refused.again:
                self.tally.refused_for_good.append(str(refused))
            else:
                self.tally.refused_for_now += 1
                if not refused.has_delay:
                    self.tally.without_retry_delay.append(str(refused))


def _over_grpc(ports: Ports) -> Callable[[bytes, float], None]:
    channel = grpc.insecure_channel(
        f"127.0.0.1:{ports.grpc}",
        options=[
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 100),
        ],
    )
    export = channel.unary_unary(_EXPORT, None, None)

    def send(body: bytes, seconds: float) -> None:
        try:
            export(body, timeout=seconds)
        except grpc.RpcError as error:
            raise _what_it_says(error) from error

    return send


def _what_it_says(error: grpc.RpcError) -> Exception:
    assert isinstance(error, grpc.Call)  # what a unary call raises
    code = error.code()
    details = dict(error.trailing_metadata() or ()).get(_DETAILS)
    if code in _RETRYABLE and details is None:
        return ConnectionError(error.details())  # nobody answered
    return RefusedError(
        f"{code.name}: {error.details()}",
        again=code in _RETRYABLE,
        has_delay=b"RetryInfo" in bytes(details or b""),
    )


def _over_http(ports: Ports) -> Callable[[bytes, float], None]:
    pool = urllib3.PoolManager(retries=False)
    url = f"http://127.0.0.1:{ports.http}/v1/traces"
    headers = {"content-type": "application/x-protobuf"}

    def send(body: bytes, seconds: float) -> None:
        try:
            answer = pool.request("POST", url, body=body, headers=headers, timeout=seconds)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        if answer.status != 200:
            raise RefusedError(
                f"{answer.status}: {answer.data[:200]!r}",
                again=answer.status in {429, 502, 503, 504},
                has_delay="retry-after" in answer.headers,
            )

    return send
