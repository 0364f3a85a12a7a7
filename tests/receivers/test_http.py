"""The HTTP receiver: its address, failures behind it, and connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest

from receivers.clients import JSON, PROTOBUF
from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from receivers.sent_signals import BOTH_SIGNALS, SentSignal
from spanmill.errors import StartError
from spanmill.receivers.http import HttpReceiver, OtlpHttpApp

MakeReceiver = Callable[[str, int], HttpReceiver]


@pytest.fixture
def make_receiver(pipeline: ReceiverPipeline) -> Iterator[MakeReceiver]:
    """Make receivers that end with the test."""
    made: list[HttpReceiver] = []

    def make(host: str, port: int) -> HttpReceiver:
        made.append(HttpReceiver(pipeline.intakes, host, port, 1000))
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop(0)


def test_a_taken_port_is_one_sentence(
    pipeline: ReceiverPipeline, make_receiver: MakeReceiver
) -> None:
    with pytest.raises(StartError) as refused:
        make_receiver("127.0.0.1", pipeline.http.port).bind()

    sentence = f"OTLP HTTP receiver {pipeline.http.endpoint}: address already in use"
    assert str(refused.value) == sentence


def test_a_free_port_is_found_and_shown(make_receiver: MakeReceiver) -> None:
    receiver = make_receiver("127.0.0.1", 0)
    receiver.bind()

    assert receiver.port > 0
    assert receiver.endpoint == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@BOTH_SIGNALS
def test_a_closed_journal_is_503_with_retry_after(
    pipeline: ReceiverPipeline, media_type: str, signal: SentSignal
) -> None:
    client = pipeline.http_client(media_type, signal)
    pipeline.journal.close()

    answer = client.send(signal.good(2))

    assert answer.code == 503
    assert answer.headers["retry-after"] == "1"
    assert pipeline.requests("http", "refused", signal.name) == 1
    assert pipeline.items(signal.name, "refused") == 2


def test_the_source_is_the_host_of_the_peer(pipeline: ReceiverPipeline) -> None:
    assert pipeline.http_client().send(good_body()).ok

    assert pipeline.records[0].entry.source == "127.0.0.1"


def test_a_connection_serves_many_requests_whatever_became_of_the_first(
    start_pipeline: PipelineFactory,
) -> None:
    pipeline = start_pipeline(max_request_size=1000)
    with RawHttp(pipeline.http.port) as connection:
        for body, status in [(bytes(5000), 413), (b"\xff", 400), (good_body(), 200)] * 3:
            connection.send(post_head(f"Content-Length: {len(body)}") + body)
            assert connection.answer().code == status


def test_requests_may_follow_each_other_without_waiting(pipeline: ReceiverPipeline) -> None:
    body = good_body()
    one = post_head(f"Content-Length: {len(body)}") + body
    with RawHttp(pipeline.http.port) as connection:
        connection.send(one * 3)
        # Answers may come in one piece: they are counted in the bytes.
        received = b""
        while received.count(b"HTTP/1.1 200") < 3:
            piece = connection.receive()
            assert piece, received
            received += piece

    assert pipeline.spans("accepted") == 3


def test_who_asks_before_sending_is_told_to_go_on(pipeline: ReceiverPipeline) -> None:
    body = good_body()
    with RawHttp(pipeline.http.port) as connection:
        connection.send(post_head(f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert connection.receive().startswith(b"HTTP/1.1 100")
        connection.send(body)
        assert connection.answer().ok


def test_a_query_is_ignored(pipeline: ReceiverPipeline) -> None:
    answer = pipeline.http_client().call(
        "POST", "/v1/traces?from=here", good_body(), {"Content-Type": PROTOBUF}
    )

    assert answer.ok


def test_a_request_that_the_server_gives_up_is_503_and_its_commit_stands(
    start_pipeline: PipelineFactory,
) -> None:
    pipeline = start_pipeline(committing=False)
    app = OtlpHttpApp(pipeline.intakes, 1000)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": good_body(), "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def serve_and_give_up() -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/v1/traces",
            "headers": [(b"content-type", PROTOBUF.encode())],
        }
        task = asyncio.ensure_future(app(scope, receive, send))
        while not pipeline.journal.submitted:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(serve_and_give_up())
    app.close()

    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
    pipeline.commit()
    pipeline.journal.close()
    assert pipeline.spans("accepted") == 1
