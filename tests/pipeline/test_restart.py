"""A restart goes on where the process before ended, whatever ended it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from running_processor import RunningProcessor, Samples
from spanmill.errors import StartError

Begin = Callable[..., RunningProcessor]

_OF_THE_PROCESS = (
    "process_",
    "spanmill_receiver_requests_total",
    "spanmill_ack_duration_seconds",
    "spanmill_processor_seconds_total",
    "spanmill_export_duration_seconds",
    "spanmill_export_retries_total",
    "spanmill_journal_",
    "spanmill_checkpoint",
)
"""What begins anew with every process, or tells of its files."""


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start processors on state directories; all end with the test."""
    running: list[RunningProcessor] = []

    def start(directory: Path, **settings: object) -> RunningProcessor:
        state = {"directory": directory, "segment_bytes": 1 << 20}
        running.append(RunningProcessor({"state": state, **settings}))
        return running[-1]

    yield start
    for processor in running:
        processor.close()


def crash(processor: RunningProcessor, directory: Path, image: Path) -> Path:
    """What a kill would leave behind, in another folder; the process itself goes on."""
    shutil.copytree(directory, image)
    return image


def derived(processor: RunningProcessor) -> Samples:
    """What is shown, but for what tells of the process."""
    found = processor.scrape()
    return {key: v for key, v in found.items() if not key[0].startswith(_OF_THE_PROCESS)}


def feed(processor: RunningProcessor, requests: list[bytes]) -> None:
    for number, request in enumerate(requests):
        processor.send_grpc(request)
        if number % 20 == 10:
            processor.pipeline.tick()


def measured(value: int) -> bytes:
    """A service's own metric with a delta, which has to be added up."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    metric = resource.scope_metrics.add().metrics.add(name="orders")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
    metric.sum.data_points.add(as_int=value, start_time_unix_nano=1, time_unix_nano=value + 1)
    return request.SerializeToString()


def test_a_crash_changes_no_figure(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    first = begin(tmp_path / "state")
    feed(first, astronomy_requests[:60])
    first.send_http(measured(3), path="/v1/metrics")
    recovery = first.pipeline._recovery
    assert recovery is not None
    recovery.save()
    feed(first, astronomy_requests[60:])
    first.send_http(measured(4), path="/v1/metrics")
    second = begin(crash(first, tmp_path / "state", tmp_path / "image"))
    assert derived(second) == derived(first)


def test_both_go_on_alike_after_a_crash(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    limited = {"span_metrics": {"max_series": 40}, "percentiles": {"max_series": 20}}
    first = begin(tmp_path / "state", **limited)
    feed(first, astronomy_requests[:30])
    recovery = first.pipeline._recovery
    assert recovery is not None
    recovery.save()
    feed(first, astronomy_requests[30:50])
    second = begin(crash(first, tmp_path / "state", tmp_path / "image"), **limited)
    for processor in (first, second):
        for request in astronomy_requests[50:80]:
            processor.send_grpc(request)
    got, expected = derived(second), derived(first)
    # What depends on when it came is not the same in two processes: lateness, windows, gauges.
    counted = {key for key in expected if key[0].startswith("traces_span")}
    assert counted
    assert {key: got.get(key) for key in counted} == {key: expected[key] for key in counted}


def test_a_clean_stop_leaves_nothing_to_read_again(
    begin: Begin,
    tmp_path: Path,
    astronomy_requests: list[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    first = begin(tmp_path / "state")
    feed(first, astronomy_requests[:20])
    before = derived(first)
    first.pipeline.stop()
    second = begin(tmp_path / "state")
    assert derived(second) == before
    (restored,) = (r for r in caplog.records if r.message == "restored")
    assert restored.records == 0  # type: ignore[attr-defined]  # an extra field


@pytest.mark.parametrize("kept", ["the one before", "none"])
def test_damaged_checkpoints_lose_nothing_that_the_journal_has(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes], kept: str
) -> None:
    first = begin(tmp_path / "state")
    recovery = first.pipeline._recovery
    assert recovery is not None
    for some in (astronomy_requests[:10], astronomy_requests[10:20], astronomy_requests[20:30]):
        feed(first, some)
        recovery.save()
    image = crash(first, tmp_path / "state", tmp_path / "image")
    files = sorted((image / "checkpoints").glob("*.checkpoint"))
    assert len(files) == 2
    for path in files if kept == "none" else files[1:]:
        path.write_bytes(path.read_bytes()[:-1])
    second = begin(image)
    got, expected = derived(second), derived(first)
    if kept == "none":  # the first records may be gone, and then it begins with those left
        accepted = ("spanmill_spans_received_total", frozenset({("outcome", "accepted")}))
        assert 0 < got[accepted] <= expected[accepted]
        books = ("spanmill_books_difference_spans", frozenset({("book", "processing")}))
        assert got[books] == 0
    else:
        assert got == expected


def test_changed_settings_begin_their_own_series_anew_and_no_others(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    first = begin(tmp_path / "state")
    feed(first, astronomy_requests[:30])
    before = derived(first)
    first.pipeline.stop()
    second = begin(tmp_path / "state", span_metrics={"dimensions": ["rpc.method"]})
    after = derived(second)
    graph = {key: v for key, v in before.items() if key[0].startswith("traces_service_graph")}
    assert graph
    assert {key: after[key] for key in graph} == graph
    assert not any(key[0].startswith("traces_spanmetrics_calls") for key in after)
    books = {key: v for key, v in after.items() if key[0].startswith("spanmill_books_difference")}
    assert set(books.values()) == {0}


def test_a_request_that_comes_again_after_a_crash_is_counted_once(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    first = begin(tmp_path / "state")
    feed(first, astronomy_requests[:3])
    second = begin(crash(first, tmp_path / "state", tmp_path / "image"))
    accepted = ("spanmill_spans_received_total", frozenset({("outcome", "accepted")}))
    duplicate = ("spanmill_spans_received_total", frozenset({("outcome", "duplicate")}))
    before = derived(second)[accepted]
    second.send_grpc(astronomy_requests[2])
    after = derived(second)
    assert after[accepted] == before
    assert after[duplicate] > 0


def test_a_journal_that_is_full_for_a_required_destination_starts_without_its_checkpoints(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    away = {"endpoint": "http://127.0.0.1:9", "required": True, "max_backlog": 200_000}
    exporters = {"otlp_traces": {"away": away}}
    first = begin(tmp_path / "state", exporters=exporters)
    with pytest.raises(grpc.RpcError, match="required destination away"):
        feed(first, astronomy_requests)
    image = crash(first, tmp_path / "state", tmp_path / "image")
    for path in (image / "checkpoints").iterdir():
        path.unlink()
    second = begin(image, exporters=exporters)
    got, expected = derived(second), derived(first)
    calls = {key for key in expected if key[0] == "traces_spanmetrics_calls_total"}
    assert calls
    assert {key: got.get(key) for key in calls} == {key: expected[key] for key in calls}


def test_a_directory_that_is_held_ends_the_start_with_a_sentence(
    begin: Begin, tmp_path: Path
) -> None:
    begin(tmp_path / "state")
    with pytest.raises(StartError, match=r"is held by process \d+: stop that one, or give"):
        begin(tmp_path / "state")


def test_the_age_of_the_checkpoint_is_told_also_where_no_new_one_can_be_written(
    begin: Begin, tmp_path: Path, astronomy_requests: list[bytes]
) -> None:
    first = begin(tmp_path / "state")
    feed(first, astronomy_requests[:5])
    first.pipeline.stop()
    (tmp_path / "state" / "checkpoints" / "checkpoint.unfinished").unlink(missing_ok=True)
    (tmp_path / "state" / "checkpoints" / "checkpoint.unfinished").mkdir()
    second = begin(tmp_path / "state")
    feed(second, astronomy_requests[5:10])
    recovery = second.pipeline._recovery
    assert recovery is not None
    recovery.save()
    found = second.scrape()
    assert found["spanmill_checkpoint_age_seconds", frozenset()] > 0
    assert found["spanmill_checkpoint_bytes", frozenset()] > 0
    assert found["spanmill_checkpoint_duration_seconds", frozenset()] == 0
