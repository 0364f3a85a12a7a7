"""Requests that a client sends again are acknowledged, and counted once."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from receivers.clients import PROTOBUF, Client, HttpClient
from receivers.otlp_requests import good_body, request, span
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, TRACES, SentSignal
from spanmill.errors import UnavailableError
from spanmill.journal.log import Signal
from spanmill.receivers.once import Once
from waiting import Eventually


@pytest.fixture
def once() -> Once:
    return Once(60 * 10**9, 100, b"seed")


@pytest.fixture
def pipeline(start_pipeline: PipelineFactory, once: Once) -> ReceiverPipeline:
    """A pipeline that knows what it has taken."""
    return start_pipeline(once=once)


@BOTH_SIGNALS
def test_what_comes_again_is_acknowledged_and_counted_once(
    client: Client, pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    answers = [client.send(signal.good(3)) for _ in range(3)]

    assert all(answer.ok and not answer.message for answer in answers)
    assert pipeline.items(signal.name, "accepted") == 3
    assert pipeline.items(signal.name, "duplicate") == 6
    assert len(pipeline.records) == 1


@BOTH_SIGNALS
def test_a_copy_gets_the_partial_success_of_the_first(
    client: Client, pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    first, again = (client.send(signal.rejected) for _ in range(2))

    assert (again.rejected, again.message) == (first.rejected, first.message) != (0, "")
    assert pipeline.items(signal.name, "accepted") == 2
    assert pipeline.items(signal.name, "invalid") == 3
    assert pipeline.items(signal.name, "duplicate") == 5


@BOTH_SIGNALS
def test_what_the_journal_sends_again_on_purpose_counts_again(
    pipeline: ReceiverPipeline, signal: SentSignal
) -> None:
    """`spanmill journal replay --again` puts such a field behind the same bytes."""
    mark = bytes.fromhex("f9ffffff0f") + b"8 bytes."
    client = pipeline.client("grpc", signal)

    answers = [client.send(signal.good(3) + tail) for tail in (b"", mark, mark)]

    assert all(answer.ok and not answer.message for answer in answers)
    assert pipeline.items(signal.name, "accepted") == 6
    assert pipeline.items(signal.name, "duplicate") == 3


def test_a_copy_gets_the_warning_of_the_first(client: Client) -> None:
    body = request(span(end_time_unix_nano=1)).SerializeToString()

    first, again = (client.send(body) for _ in range(2))

    assert again.message == first.message != ""


def test_items_that_were_all_rejected_are_known_too(
    client: Client, pipeline: ReceiverPipeline
) -> None:
    body = request(span(trace_id=b"")).SerializeToString()

    answers = [client.send(body) for _ in range(2)]

    assert [answer.rejected for answer in answers] == [1, 1]
    assert (pipeline.spans("invalid"), pipeline.spans("duplicate")) == (1, 1)


def test_the_same_over_another_transport_and_compressed_is_a_copy(
    pipeline: ReceiverPipeline,
) -> None:
    body = good_body(2)
    for transport in ("grpc", "http-protobuf"):
        assert pipeline.client(transport).send(body).ok
        assert pipeline.client(transport).send(body, compressed=True).ok
    many = gzip.compress(body[:9]) + gzip.compress(body[9:])
    assert pipeline.http_client(PROTOBUF).send_encoded(many, {"Content-Encoding": "gzip"}).ok

    assert (pipeline.spans("accepted"), pipeline.spans("duplicate")) == (2, 8)


def test_undecodable_and_empty_requests_are_answered_each_by_itself(
    client: Client, once: Once, pipeline: ReceiverPipeline
) -> None:
    if isinstance(client, HttpClient):
        assert [client.send_encoded(b"\xff", {}).code for _ in range(2)] == [400, 400]
    else:
        assert [client.send(b"\xff").code for _ in range(2)] == ["INVALID_ARGUMENT"] * 2
    assert [client.send(b"").ok for _ in range(2)] == [True, True]
    assert len(once) == len(pipeline.records) == 0


def test_a_copy_of_what_waits_for_its_commit_waits_with_it(
    start_pipeline: PipelineFactory, once: Once, transport: str, eventually: Eventually
) -> None:
    pipeline = start_pipeline(once=once, committing=False)
    clients = [pipeline.client(transport) for _ in range(3)]
    key = once.key(Signal.TRACES, "127.0.0.1", good_body())
    with ThreadPoolExecutor(3) as threads:
        if transport == "http-json":
            key = once.key(
                Signal.TRACES,
                "127.0.0.1",
                pipeline.intakes[0].taken.from_json(TRACES.to_json(good_body())),
            )
        first = threads.submit(clients[0].send, good_body())
        eventually(lambda: key in once._pending, "the first is being taken")
        copies = [threads.submit(client.send, good_body()) for client in clients[1:]]
        eventually(lambda: len(pipeline.intakes[0]._waiting) == 3, "all wait")
        assert pipeline.journal.submitted == 1

        pipeline.commit()

        assert all(answer.result().ok for answer in [first, *copies])
    eventually(lambda: pipeline.spans("duplicate") == 2, "the copies are counted")
    assert pipeline.spans("accepted") == 1


def test_where_the_first_fails_a_copy_is_taken_by_itself(
    start_pipeline: PipelineFactory, once: Once, transport: str, eventually: Eventually
) -> None:
    pipeline = start_pipeline(once=once)
    intake = pipeline.intakes[0]
    body = good_body()
    if transport == "http-json":
        body = intake.taken.from_json(TRACES.to_json(body))
    key = once.key(Signal.TRACES, "127.0.0.1", body)
    assert once.claim(key) is None  # as if it were being taken
    with ThreadPoolExecutor(1) as threads:
        copy = threads.submit(pipeline.client(transport).send, good_body())
        eventually(lambda: intake._waiting, "the copy waits")

        once.ended(key, None)

        assert copy.result().ok
    assert (pipeline.spans("accepted"), pipeline.spans("duplicate")) == (1, 0)


def test_a_copy_that_waits_at_the_end_is_asked_to_come_back(
    start_pipeline: PipelineFactory, once: Once
) -> None:
    pipeline = start_pipeline(once=once, committing=False)
    (intake, _) = pipeline.intakes
    waiting = [intake.take(good_body(), "10.0.0.1") for _ in range(2)]

    intake.abandon()

    for answer in waiting:
        with pytest.raises(UnavailableError):
            answer.result(0)


def test_other_clients_and_other_signals_send_requests_of_their_own(
    pipeline: ReceiverPipeline,
) -> None:
    (traces, _) = pipeline.intakes
    for client in ("10.0.0.1", "10.0.0.2"):
        traces.take(good_body(), client).result(20)

    assert (pipeline.spans("accepted"), pipeline.spans("duplicate")) == (2, 0)
    assert {len(record.entry.key) for record in pipeline.records} == {16}
