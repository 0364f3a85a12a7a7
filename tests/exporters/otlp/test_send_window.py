"""How many requests may be in flight, and when."""

from __future__ import annotations

import math

from spanmill.exporters.otlp.send_window import SendWindow


def test_it_is_open_for_so_many_requests() -> None:
    window = SendWindow(2)
    for _ in range(2):
        assert window.opens_in(0.0) == 0
        window.began(10)
    assert window.opens_in(0.0) == math.inf
    window.ended(10)
    assert window.opens_in(0.0) == 0


def test_it_is_closed_while_so_many_bytes_are_in_flight() -> None:
    window = SendWindow(10, max_bytes=100)
    window.began(300)
    assert window.opens_in(0.0) == math.inf
    window.ended(300)
    assert window.opens_in(0.0) == 0


def test_after_a_failure_one_request_may_go_at_a_time_and_after_the_pause() -> None:
    window = SendWindow(4)
    window.began(1)
    window.began(1)
    window.ended(1)
    window.failed(5.0)
    assert window.opens_in(9.0) == math.inf
    window.ended(1)
    assert window.opens_in(3.0) == 2.0
    assert window.opens_in(5.0) == 0
    window.began(1)
    assert window.opens_in(9.0) == math.inf


def test_an_answer_opens_it_again_once_the_pause_is_over() -> None:
    window = SendWindow(4)
    window.failed(5.0)
    window.answered()
    assert window.opens_in(4.0) == 1.0
    for _ in range(4):
        assert window.opens_in(5.0) == 0
        window.began(1)


def test_the_longest_pause_counts_until_it_is_forgotten() -> None:
    window = SendWindow(4)
    window.failed(17.0)
    window.failed(5.0)
    assert window.opens_in(5.0) == 12.0
    window.hurry()
    assert window.opens_in(5.0) == 0
