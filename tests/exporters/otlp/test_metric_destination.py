"""A destination of metrics does with points what one of traces does with spans."""

from __future__ import annotations

import grpc
import pytest

from exporters.otlp.house import House
from exporters.otlp.log_lines import messages
from exporters.otlp.peers import Abort, Action, Answer, GrpcPeer, HttpPeer, partial
from exporters.otlp.requests import flatten_metrics, metrics_of, points_in, request_of
from exporters.otlp.settings_for import NEVER, settings_for
from spanmill.exporters.otlp.signals import METRICS, TRACES
from spanmill.series.snapshot import Histograms
from waiting import Eventually

KIB = 1024


@pytest.fixture(params=["http/protobuf", "grpc"])
def peer(request: pytest.FixtureRequest) -> HttpPeer | GrpcPeer:
    name = "grpc_peer" if request.param == "grpc" else "http_peer"
    found: HttpPeer | GrpcPeer = request.getfixturevalue(name)
    return found


def settings_to(peer: HttpPeer | GrpcPeer, **more: object):  # type: ignore[no-untyped-def]  # as settings_for
    protocol = "grpc" if isinstance(peer, GrpcPeer) else "http/protobuf"
    return settings_for(peer.port, protocol, signal=METRICS, **more)  # type: ignore[arg-type]  # by name


def test_partial_success_is_counted_in_points(
    house: House,
    peer: HttpPeer | GrpcPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer.script.append(Answer(body=partial(2, "too old")))
    house.open(settings_to(peer))
    house.accept(metrics_of("a", "b", "c"), 3, METRICS)
    eventually(lambda: house.settled("tempo", METRICS), "the request is delivered")
    assert house.outcomes("tempo", METRICS) == {"delivered": 1, "rejected_by_peer": 2}
    assert house.telemetry.spans.exported.value("tempo", "delivered") == 0
    assert messages(caplog) == ["destination rejected some points"]
    (record,) = caplog.records
    said = record.__dict__
    assert (said["destination"], said["signal"]) == ("tempo", "metrics")
    assert (said["points"], said["reason"]) == (2, "too old")


@pytest.mark.parametrize(
    "failure",
    [
        (Answer(503), Abort(grpc.StatusCode.UNAVAILABLE, "later")),
        (
            Answer(429, headers={"retry-after": "0"}),
            Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_after=0.001),
        ),
    ],
)
def test_what_failed_for_now_is_sent_again_and_told_once(
    house: House,
    peer: HttpPeer | GrpcPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
    failure: tuple[Action, Action],
) -> None:
    over_http, over_grpc = failure
    peer.script.extend([over_grpc if isinstance(peer, GrpcPeer) else over_http] * 3)
    house.open(settings_to(peer))
    house.accept(metrics_of("a"), 1, METRICS)
    eventually(lambda: house.settled("tempo", METRICS), "the request is delivered")
    assert peer.taken == [metrics_of("a")]
    assert house.outcomes("tempo", METRICS) == {"delivered": 1}
    assert house.telemetry.export_retries.value("tempo", "metrics") == 3
    assert messages(caplog) == ["destination lost, its points are queued", "destination is back"]


def test_what_a_full_queue_drops_is_counted_in_points(house: House, http_peer: HttpPeer) -> None:
    http_peer.close()
    large = metrics_of("a", "b", padding=10 * KIB)
    house.open(settings_to(http_peer, max_backlog=len(large), retry=NEVER))
    for _ in range(3):
        house.accept(large, 2, METRICS)
    outcomes = house.outcomes("tempo", METRICS)
    assert outcomes.get("expired", 0) >= 2
    assert sum(outcomes.values()) == 6
    http_peer.open()


def test_a_metric_that_is_too_large_goes_in_parts_and_a_point_that_is_too_large_not_at_all(
    house: House,
    peer: HttpPeer | GrpcPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    house.open(settings_to(peer, max_request_bytes=4 * KIB))
    many = metrics_of(*map(str, range(100)), padding=100)
    house.accept(many, 100, METRICS)
    house.accept(metrics_of("large", padding=5 * KIB), 1, METRICS)
    eventually(lambda: house.settled("tempo", METRICS), "all is answered for")
    assert house.outcomes("tempo", METRICS) == {"delivered": 100, "dead_lettered": 1}
    assert max(map(len, peer.taken)) <= 4 * KIB
    assert [name for body in peer.taken for name in points_in(body)] == [str(n) for n in range(100)]
    assert [p for body in peer.taken for p in flatten_metrics(body)] == flatten_metrics(many)
    assert messages(caplog) == ["a point is too large to be sent"]


def test_traces_and_metrics_under_one_name_do_not_wait_for_each_other(
    house: House, http_peer: HttpPeer, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    http_peer.otherwise = lambda _: Answer(503)
    house.open(settings_for(http_peer.port, retry=NEVER), settings_to(grpc_peer))
    house.accept(request_of("a"), 1)
    house.accept(metrics_of("a", "b"), 2, METRICS)
    eventually(lambda: house.settled("tempo", METRICS), "the metrics are delivered")
    assert house.outcomes("tempo", TRACES) == {"queued": 1}
    assert house.outcomes("tempo", METRICS) == {"delivered": 2}
    eventually(lambda: http_peer.seen, "the traces were tried")
    durations = {
        labels
        for family in house.registry.snapshot()
        if family.family.name == "spanmill_export_duration_seconds"
        and isinstance(family.data, Histograms)
        for labels in family.labels
    }
    assert ("tempo", "metrics") in durations
