from __future__ import annotations

import grpc
import pytest

from exporters.otlp.log_lines import fields, messages
from exporters.otlp.peers import METRICS_METHOD, Abort, Answer, GrpcPeer, HttpPeer, no_one, partial
from exporters.otlp.settings_for import NEVER as NO_RETRY
from exporters.otlp.settings_for import QUICK, settings_for
from exporters.otlp_metrics.conftest import StartPushing
from exporters.otlp_metrics.pushing import (
    NEVER,
    ScriptedSender,
    calls,
    taken_points,
    values_of,
)
from spanmill.exporters.otlp.sender import Delivered, Permanent, Retry, TooLarge
from spanmill.exporters.otlp.signals import METRICS
from spanmill.testing import ManualClock
from waiting import Eventually

LOST = "destination lost, derived metrics are not pushed"
BACK = "destination is back, derived metrics are pushed again"


def http(port: int, **settings: object):  # type: ignore[no-untyped-def]  # passed on as it is
    return settings_for(port, name="prometheus", signal=METRICS, **settings)  # type: ignore[arg-type]


def test_a_snapshot_is_pushed_in_each_interval_over_http(
    pushing: StartPushing, http_peer: HttpPeer, eventually: Eventually
) -> None:
    started = pushing(http(http_peer.port))
    eventually(lambda: len(http_peer.taken) >= 2, "two pushes")
    started.families = [calls(2)]
    eventually(lambda: 2.0 in values_of(http_peer.taken), "the new value")
    assert set(http_peer.paths) == {"/v1/metrics"}
    times = [each.point.time_unix_nano for each in taken_points(http_peer)]
    assert times == sorted(set(times)), "each push has a time of its own"


def test_a_snapshot_is_pushed_over_grpc(
    pushing: StartPushing, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    started = pushing(
        settings_for(f"127.0.0.1:{grpc_peer.port}", "grpc", name="collector", signal=METRICS)
    )
    eventually(lambda: values_of(grpc_peer.taken), "a push")
    eventually(lambda: started.outcomes().get("delivered"), "it is counted")
    assert set(grpc_peer.paths) == {METRICS_METHOD}


def test_all_of_one_push_has_one_time(
    pushing: StartPushing, http_peer: HttpPeer, eventually: Eventually
) -> None:
    labels = [(f"service-{n}",) for n in range(300)]
    started = pushing(http(http_peer.port, max_request_bytes=2000), NEVER)
    started.families = [calls(1, *labels)]
    assert started.stop()
    assert len(http_peer.taken) > 5
    assert all(len(body) <= 2000 for body in http_peer.taken)
    points = taken_points(http_peer)
    assert [each.attributes[0][1] for each in points] == [each for (each,) in labels]
    assert len({each.point.time_unix_nano for each in points}) == 1


def test_a_series_that_disappears_is_marked_once(
    pushing: StartPushing, http_peer: HttpPeer, eventually: Eventually
) -> None:
    started = pushing(http(http_peer.port))
    started.families = [calls(1, ("shop",), ("cart",))]
    eventually(lambda: len(taken_points(http_peer)) >= 2, "both")
    started.families = [calls(1, ("shop",))]
    eventually(lambda: any(each.gone for each in taken_points(http_peer)), "one is gone")
    pushes = len(http_peer.taken)
    eventually(lambda: len(http_peer.taken) > pushes + 2, "further pushes")
    gone = [each for each in taken_points(http_peer) if each.gone]
    assert [each.attributes for each in gone] == [(("service", "cart"),)]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_push_is_tried_again_within_its_interval(
    pushing: StartPushing,
    http_peer: HttpPeer,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    http_peer.script.extend([Answer(status), Answer(status)])
    started = pushing(http(http_peer.port), NEVER)
    assert started.stop()
    assert len(http_peer.seen) == 3
    assert len(set(http_peer.seen)) == 1
    assert started.outcomes() == {"delivered": 1}
    assert started.retries == 2
    assert messages(caplog).count(LOST) == messages(caplog).count(BACK) == 1
    assert f"answered {status}" in str(fields(caplog, LOST)["reason"])


def test_the_next_snapshot_takes_the_place_of_one_that_failed(
    pushing: StartPushing, eventually: Eventually
) -> None:
    sender = ScriptedSender(Retry("down"))
    started = pushing(http(1, retry=NO_RETRY), sender=sender)
    eventually(lambda: started.outcomes().get("failed", 0) >= 2, "two pushes failed")
    started.families = [calls(7)]
    eventually(lambda: 7.0 in values_of(sender.sent), "the new snapshot is tried")
    sender.replies = [Delivered()]
    eventually(lambda: started.outcomes().get("delivered"), "it is delivered")
    values = values_of(sender.sent)
    assert 1.0 not in values[values.index(7.0) :], "what was superseded isn't sent again"


def test_an_outage_is_two_lines(
    pushing: StartPushing, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    peer = HttpPeer()
    started = pushing(http(peer.port, retry=QUICK))
    eventually(lambda: peer.taken, "a push")
    peer.close()
    eventually(lambda: started.outcomes().get("failed", 0) >= 2, "two pushes failed")
    before = len(peer.taken)
    peer.open()
    eventually(lambda: len(peer.taken) > before, "it is back")
    eventually(lambda: BACK in messages(caplog), "it is said")
    peer.close()
    started.stop(0)
    assert messages(caplog).count(BACK) == 1
    assert fields(caplog, BACK)["failed_pushes"] >= 2  # type: ignore[operator]  # a number


def test_a_named_wait_is_honoured_over_pushes(
    pushing: StartPushing, eventually: Eventually
) -> None:
    clock = ManualClock()
    sender = ScriptedSender(Retry("busy", after=100.0), Delivered())
    started = pushing(http(1), sender=sender, clock=clock)
    eventually(lambda: started.outcomes().get("failed"), "an attempt is made and given up")
    asked = clock.monotonic()

    def tried_again() -> bool:
        clock.advance(1.0)
        return len(sender.sent) > 1

    eventually(tried_again, "the next attempt")
    assert clock.monotonic() >= asked + 100.0


def test_grpc_names_its_wait_too(
    pushing: StartPushing, grpc_peer: GrpcPeer, eventually: Eventually
) -> None:
    grpc_peer.script.append(Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after=600.0))
    started = pushing(
        settings_for(f"127.0.0.1:{grpc_peer.port}", "grpc", name="collector", signal=METRICS)
    )
    eventually(lambda: started.outcomes().get("failed"), "given up")
    assert len(grpc_peer.seen) == 1


@pytest.mark.parametrize("reply", [Permanent("no"), Delivered(1, "too old")])
def test_what_is_refused_for_good_is_not_sent_again(
    pushing: StartPushing, reply: Permanent | Delivered, caplog: pytest.LogCaptureFixture
) -> None:
    labels = [(f"service-{n}",) for n in range(100)]
    sender = ScriptedSender(reply, Delivered())
    started = pushing(http(1, max_request_bytes=2000), NEVER, sender=sender)
    started.families = [calls(1, *labels)]
    assert not started.stop()
    assert len(values_of(sender.sent)) == 100, "the other requests go on"
    assert started.outcomes() == {"rejected": 1}
    assert sum("rejected" in message for message in messages(caplog)) == 1


def test_the_rest_of_a_push_is_spared_where_nothing_can_succeed(pushing: StartPushing) -> None:
    labels = [(f"service-{n}",) for n in range(100)]
    sender = ScriptedSender(Permanent("no such path", by_content=False))
    started = pushing(http(1, max_request_bytes=2000), NEVER, sender=sender)
    started.families = [calls(1, *labels)]
    assert not started.stop()
    assert len(sender.sent) == 1


def test_an_answer_that_warns_is_a_delivery(pushing: StartPushing, http_peer: HttpPeer) -> None:
    http_peer.script.append(Answer(body=partial(0, "mind the gap")))
    started = pushing(http(http_peer.port), NEVER)
    assert started.stop()


def test_a_request_that_is_too_large_is_halved_and_smaller_ones_follow(
    pushing: StartPushing,
) -> None:
    labels = [(f"service-{n}" * 40,) for n in range(1000)]
    sender = ScriptedSender(TooLarge("4 MiB"), Delivered())
    started = pushing(http(1), NEVER, sender=sender)
    started.families = [calls(1, *labels)]
    assert started.stop()
    refused, *taken = sender.sent
    assert all(len(payload) <= len(refused) // 2 for payload in taken)
    assert sorted(values_of(taken)) == [1.0] * 1000


def test_a_point_that_is_too_large_by_itself_costs_no_other(pushing: StartPushing) -> None:
    sender = ScriptedSender(TooLarge("tiny"), Delivered())
    started = pushing(http(1, max_request_bytes=300), NEVER, sender=sender)
    started.families = [calls(1, ("x" * 1000,), ("shop",))]
    assert not started.stop()
    assert started.outcomes() == {"rejected": 1}
    assert len(sender.sent) == 2


def test_a_fault_of_ours_costs_its_pushes_and_is_said_once(
    pushing: StartPushing,
    http_peer: HttpPeer,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started = pushing(http(http_peer.port))
    started.families = [None]  # type: ignore[list-item]  # what no registry gives
    eventually(lambda: started.outcomes().get("failed", 0) > 2, "some pushes failed")
    started.families = [calls(5)]
    eventually(lambda: 5.0 in values_of(http_peer.taken), "the next one succeeds")
    assert messages(caplog).count("a push could not be made") == 1


def test_each_attempt_is_timed(pushing: StartPushing) -> None:
    with no_one() as port:
        started = pushing(http(port, retry=NO_RETRY), NEVER)
        assert not started.stop(0.2)
    (durations,) = (
        family
        for family in started.registry.snapshot()
        if family.family.name == "spanmill_export_duration_seconds"
    )
    assert durations.labels == [("prometheus", "metrics")]
