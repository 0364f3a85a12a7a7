"""A recording is read whole once, and every pass through it is new."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from cli.replay.recorded import NEWEST_END, recorded_span, request_of, spans_of, write_recording
from spanmill.cli.replay.recording import Recording
from spanmill.errors import StartError
from spanmill.spans.rewrite import IdMask

NOW = 1_800_000_000_000_000_000


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    messages = [
        request_of([recorded_span(n) for n in (1, 2, 3)]),
        request_of([recorded_span(n) for n in (4, 5)]),
    ]
    return Recording.open(write_recording(tmp_path / "spans.zst", messages))


def test_opening_counts_the_spans_and_finds_the_newest(recording: Recording) -> None:
    assert recording.spans == 5
    assert recording.newest_end_ns == NEWEST_END


def test_the_newest_span_of_a_pass_ends_now_and_the_others_as_long_before(
    recording: Recording,
) -> None:
    passed = list(recording.replayed(NOW, IdMask.drawn(Random(1)), None))
    spans = [span for payload, _ in passed for span in spans_of(payload)]
    ends = [span.end_time_unix_nano for span in spans]
    assert ends == [NOW - 1000 * n for n in range(5)]
    assert {s.end_time_unix_nano - s.start_time_unix_nano for s in spans} == {1500}
    assert [spans for _, spans in passed] == [3, 2]


def test_passes_have_ids_of_their_own(recording: Recording) -> None:
    rng = Random(1)
    traces = [
        {
            span.trace_id
            for payload, _ in recording.replayed(NOW, mask, None)
            for span in spans_of(payload)
        }
        for mask in (IdMask.drawn(rng), IdMask.drawn(rng))
    ]
    assert [len(ids) for ids in traces] == [5, 5]
    assert not traces[0] & traces[1]


def test_a_batch_size_regroups_the_requests(recording: Recording) -> None:
    passed = recording.replayed(NOW, IdMask.drawn(Random(1)), 4)
    assert [spans for _, spans in passed] == [4, 1]


def test_a_message_that_is_no_request_is_named(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "spans.zst", [request_of([recorded_span(1)]), b"\xff"])
    with pytest.raises(StartError, match=r"spans\.zst: message 2 is not an Export"):
        Recording.open(path)


def test_metrics_are_no_spans(shared_data: Path) -> None:
    with pytest.raises(StartError, match="message 1 is not an ExportTraceServiceRequest"):
        Recording.open(shared_data / "hostandcollector-otelmetrics.zst")


@pytest.mark.parametrize("messages", [[], [b""], [request_of([])]])
def test_a_recording_without_spans_is_refused(tmp_path: Path, messages: list[bytes]) -> None:
    path = write_recording(tmp_path / "spans.zst", messages)
    with pytest.raises(StartError, match=r"spans\.zst holds no spans"):
        Recording.open(path)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="is not a regular file"):
        Recording.open(tmp_path)
