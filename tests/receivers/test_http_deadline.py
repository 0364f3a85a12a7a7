"""What HTTP clients are told at the end of the shutdown's time."""

from __future__ import annotations

from receivers.otlp_requests import good_body
from receivers.raw_http import RawHttp, post_head
from receivers.receiver_pipeline import PipelineFactory
from waiting import Eventually


def test_a_request_that_still_waits_is_asked_to_come_back(
    start_pipeline: PipelineFactory, eventually: Eventually
) -> None:
    pipeline = start_pipeline(committing=False)
    body = good_body()
    with RawHttp(pipeline.http.port) as waiting:
        waiting.send(post_head(f"Content-Length: {len(body)}") + body)
        eventually(lambda: pipeline.journal.submitted == 1, "it waits for its commit")
        pipeline.http.stop(0.05)
        answer = waiting.answer()
    assert answer.code == 503
    assert answer.retry_after is not None
