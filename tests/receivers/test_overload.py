"""What clients are told when there is no room for their requests, and what the others see."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest

import spanmill.receivers.body_deadline
import spanmill.receivers.grpc
import spanmill.receivers.http
from receivers.clients import JSON, PROTOBUF, Client, GrpcClient, HttpClient
from receivers.otlp_requests import good_body, request, span
from receivers.raw_http import RawHttp, post_head
from receivers.raw_http2 import RawConnection, framed
from receivers.receiver_pipeline import MIB, PipelineFactory, ReceiverPipeline
from spanmill.clock import SystemClock
from spanmill.receivers.admission import Admission, Reservation
from spanmill.receivers.call_limit import CallLimit
from spans.generated import field
from waiting import Eventually

GOOD = good_body()
BUDGET = 12 * MIB


@pytest.fixture
def admission() -> Admission:
    return Admission(BUDGET, SystemClock())


@pytest.fixture
def limited(start_pipeline: PipelineFactory, admission: Admission) -> ReceiverPipeline:
    """A pipeline of this budget, so that a request is no larger than 1 MiB."""
    return start_pipeline(admission=admission)


def fill(admission: Admission) -> Reservation:
    """Let another client hold everything."""
    return admission.reserve("10.9.9.9", BUDGET)


def test_promise_10_without_room_a_client_is_asked_to_come_back(
    limited: ReceiverPipeline, admission: Admission, transport: str
) -> None:
    client = limited.client(transport)
    assert client.send(GOOD).ok
    others = fill(admission)

    answer = client.send(GOOD)

    assert answer.code in ("UNAVAILABLE", 503)
    assert answer.retry_after == 1
    assert "memory_budget" in answer.message
    assert limited.requests(transport.partition("-")[0], "refused") == 1
    others.release()
    assert client.send(GOOD).ok
    assert admission.used == 0


def test_what_never_fits_is_refused_for_good(limited: ReceiverPipeline, transport: str) -> None:
    if transport == "http-json":
        body = b'{"x":[%s]}' % b",".join([b"{}"] * 200_000)
        answer = limited.http_client(JSON).send_encoded(body, {})
    else:
        answer = limited.client(transport).send(field(1000, bytes(MIB // 2)))
    assert answer.code in ("RESOURCE_EXHAUSTED", 413)
    assert answer.retry_after is None
    assert "memory_budget" in answer.message


def test_the_budget_lowers_the_largest_request(limited: ReceiverPipeline, transport: str) -> None:
    answer = limited.client(transport).send(request(span("x" * MIB)).SerializeToString())
    assert answer.code in ("RESOURCE_EXHAUSTED", 413)
    assert answer.retry_after is None


def test_an_inflated_body_needs_room_before_it_is_there(
    limited: ReceiverPipeline, admission: Admission
) -> None:
    others = admission.reserve("10.9.9.9", BUDGET - MIB)
    bomb = gzip.compress(field(1000, bytes(MIB // 2)))

    answer = limited.http_client(PROTOBUF).send_encoded(bomb, {"Content-Encoding": "gzip"})

    assert (answer.code, answer.retry_after) == (503, 1)
    others.release()


def test_every_outcome_gives_back_what_it_held(
    limited: ReceiverPipeline, admission: Admission, transport: str, eventually: Eventually
) -> None:
    client: Client = limited.client(transport)
    if isinstance(client, HttpClient):
        bodies = [(GOOD, False), (b"\xff", False), (b"{", False)]
        answers = [client.send_encoded(body, {}) for body, _ in bodies]
        answers.append(client.send_encoded(b"no gzip", {"Content-Encoding": "gzip"}))
    else:
        answers = [client.send(body) for body in (GOOD, b"\xff", b"\x1f\x8b no gzip")]
    assert {answer.ok for answer in answers} >= {False}
    eventually(lambda: admission.used == 0, "all is given back")


def test_a_client_that_goes_away_half_way_holds_nothing(
    limited: ReceiverPipeline, admission: Admission, eventually: Eventually
) -> None:
    with RawHttp(limited.http.port) as half, RawConnection(limited.grpc.port) as call:
        half.send(post_head("Content-Length: 100000") + bytes(50_000))
        call.begin(framed(GOOD)[:20])
        eventually(lambda: admission.used > MIB, "both hold something")
        half.reset()
    eventually(lambda: admission.used == 0, "all is given back")


def test_bad_input_33_a_slow_body_over_http_gives_way_to_others(
    limited: ReceiverPipeline, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spanmill.receivers.http, "SLOW_SECONDS", 0.05)
    others = fill_all_but(admission, MIB)
    with RawHttp(limited.http.port) as slow:
        slow.send(post_head("Content-Length: 100") + b"x")
        assert limited.client("grpc").send(GOOD).code in ("OK", "UNAVAILABLE")
        with pytest.raises(Exception, match="memory_budget"):
            admission.reserve("10.8.8.8", BUDGET)
        answer = slow.answer()
    assert (answer.code, answer.retry_after) == (503, 1)
    others.release()


def fill_all_but(admission: Admission, left: int) -> Reservation:
    return admission.reserve("10.9.9.9", BUDGET - left)


def test_bad_input_33_a_slow_body_over_grpc_gives_way_to_others(
    start_pipeline: PipelineFactory,
    admission: Admission,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    monkeypatch.setattr(spanmill.receivers.body_deadline, "SLOW_SECONDS", 0.05)
    pipeline = start_pipeline(admission=admission, handler_threads=1)
    deadline = pipeline.grpc._body_deadline
    with RawConnection(pipeline.grpc.port) as slow:
        slow.begin(framed(GOOD)[:20])
        eventually(lambda: deadline._begun, "the only handler waits for the rest")
        # Nothing but another call that waits for its turn has it cut.
        assert pipeline.client("grpc").send(GOOD).ok


def test_a_slow_body_that_disturbs_nobody_is_waited_for(
    limited: ReceiverPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spanmill.receivers.http, "SLOW_SECONDS", 0.01)
    looked = threading.Event()
    go_on = spanmill.receivers.http.OtlpHttpApp._go_on_reading

    def watched(app: spanmill.receivers.http.OtlpHttpApp, now: float, begun: float) -> float:
        looked.set()
        return go_on(app, now, begun)

    monkeypatch.setattr(spanmill.receivers.http.OtlpHttpApp, "_go_on_reading", watched)
    with RawHttp(limited.http.port) as slow:
        slow.send(post_head(f"Content-Length: {len(GOOD)}") + GOOD[:10])
        assert looked.wait(20)
        slow.send(GOOD[10:])
        assert slow.answer().ok


def test_calls_beyond_those_that_may_wait_are_asked_to_come_back(
    start_pipeline: PipelineFactory, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(spanmill.receivers.grpc, "_WAITING_CALLS", 3)
    pipeline = start_pipeline(committing=False, handler_threads=2)
    receiver = pipeline.grpc
    with ThreadPoolExecutor(5) as threads:
        clients = [GrpcClient(receiver.port) for _ in range(6)]
        taken = [threads.submit(client.send, GOOD) for client in clients[:5]]
        eventually(lambda: receiver._calls._calls == 5, "two are handled, three wait")

        answer = clients[5].send(GOOD)

        assert (answer.code, answer.retry_after) == ("UNAVAILABLE", 1)
        assert "too many calls" in answer.message
        pipeline.commit()
        assert all(each.result().ok for each in taken)
        assert clients[5].send(GOOD).ok
    for client in clients:
        client.close()
    eventually(lambda: receiver._calls._calls == 0, "all have ended")
    assert pipeline.requests("grpc", "refused") == 1


def test_another_method_is_not_found() -> None:
    def refuse(_context: grpc.ServicerContext) -> None: ...

    calls = CallLimit(1, 1)
    service = calls.service("s.S", lambda *_: b"", refuse)  # type: ignore[arg-type]  # never called
    assert service.service(SimpleNamespace(method="/s.S/Other")) is None  # type: ignore[arg-type]  # all that it reads
    assert service.service(SimpleNamespace(method="/s.S/Export")) is not None  # type: ignore[arg-type]
    calls.close()
