from __future__ import annotations

import time
from random import Random

from exporters.otlp.peers import Answer, Drip, Hang, HttpPeer
from exporters.otlp.settings_for import NEVER as NO_RETRY
from exporters.otlp.settings_for import settings_for
from exporters.otlp_metrics.conftest import StartPushing
from exporters.otlp_metrics.pushing import NEVER, ScriptedSender, calls, values_of
from spanmill.exporters.otlp.sender import Delivered, Retry
from spanmill.exporters.otlp.settings import DestinationSettings, RetrySettings
from spanmill.exporters.otlp.signals import METRICS
from waiting import Eventually

PATIENCE = 15.0  # far from what a stop at once takes on the slowest machine, and from NEVER


def settings(port: int, retry: RetrySettings = NO_RETRY) -> DestinationSettings:
    return settings_for(port, name="prometheus", signal=METRICS, retry=retry, timeout=600.0)


def test_the_last_push_has_the_last_values(pushing: StartPushing, http_peer: HttpPeer) -> None:
    started = pushing(settings(http_peer.port), NEVER)
    started.families = [calls(3)]
    assert started.stop()
    assert values_of(http_peer.taken) == [3.0]


def test_a_hanging_destination_ends_with_the_deadline(
    pushing: StartPushing, http_peer: HttpPeer, eventually: Eventually
) -> None:
    for action in (Hang(), Drip()):
        http_peer.otherwise = lambda body, action=action: action  # type: ignore[misc]  # a default
        started = pushing(settings(http_peer.port))
        seen = len(http_peer.seen)
        eventually(lambda seen=seen: len(http_peer.seen) > seen, "a push is under way")  # type: ignore[misc]  # a default
        begun = time.monotonic()
        assert not started.stop(0.1)
        assert time.monotonic() - begun < PATIENCE
        started.pusher._thread.join(PATIENCE)
        assert not started.pusher._thread.is_alive()


class _Soon(Random):
    """The first push at once; every later wait as long as it may be."""

    def __init__(self) -> None:
        super().__init__(1)
        self._first = True

    def uniform(self, a: float, b: float) -> float:
        """The lower bound, then the upper one."""
        first, self._first = self._first, False
        return a if first else b


def test_a_pause_gives_way_to_the_last_push(pushing: StartPushing, eventually: Eventually) -> None:
    sender = ScriptedSender(Retry("down"), Delivered())
    started = pushing(settings(1), 2 * NEVER, sender=sender, rng=_Soon())
    eventually(lambda: sender.sent, "the first attempt, after which comes a pause")
    started.families = [calls(4)]
    assert started.stop()
    assert values_of(sender.sent) == [1.0, 4.0]
    assert started.outcomes() == {"failed": 1, "delivered": 1}


def test_a_wait_that_was_asked_for_doesn_t_keep_the_last_push_back(
    pushing: StartPushing, eventually: Eventually
) -> None:
    sender = ScriptedSender(Retry("busy", after=600.0), Delivered())
    started = pushing(settings(1), sender=sender)
    eventually(lambda: started.outcomes().get("failed"), "a push was put off")
    assert started.stop()


def test_the_last_push_is_tried_again_until_the_deadline(
    pushing: StartPushing, http_peer: HttpPeer
) -> None:
    http_peer.script.extend([Answer(503)] * 5)
    quick = RetrySettings(initial_interval=0.001, max_interval=0.002, multiplier=1.0)
    started = pushing(settings(http_peer.port, quick), NEVER)
    assert started.stop()
    assert len(http_peer.seen) == 6
