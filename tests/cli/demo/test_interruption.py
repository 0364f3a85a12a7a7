from __future__ import annotations

import os
import signal

import pytest

from spanmill.cli.demo.interruption import Interruption, interrupted_by_signals

DEADLINE = 60.0


def test_a_wait_ends_at_once_when_the_end_was_wished_before() -> None:
    interruption = Interruption()
    assert interruption.wait(0.0) is False
    interruption.request()
    assert interruption.wait(DEADLINE) is True
    assert interruption.wait(DEADLINE) is True
    interruption.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_wishes_for_the_end_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    # Whoever started the tests may have had signals ignored, as nohup does.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with interrupted_by_signals() as interruption:
            os.kill(os.getpid(), number)
            assert interruption.wait(DEADLINE) is True
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interruption.wait(0.0) is False
    finally:
        signal.signal(signal.SIGHUP, before)
