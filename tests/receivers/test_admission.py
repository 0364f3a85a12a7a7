"""Who may hold how much of the memory budget."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.clock import SystemClock
from spanmill.errors import OverBudgetError, UnavailableError
from spanmill.receivers.admission import Admission, Reservation, effective_request_size
from spanmill.testing import ManualClock
from waiting import Eventually

MIB = 1 << 20


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def admission(clock: ManualClock) -> Admission:
    return Admission(100, clock)


def test_what_is_held_counts_until_it_is_released(admission: Admission) -> None:
    with admission.reserve("a", 60) as first:
        first.resize(20)
        first.at_least(10)
        assert admission.used == 20
        with admission.reserve("b", 80):
            assert admission.used == 100
            with pytest.raises(UnavailableError) as refused:
                admission.reserve("c", 1)
            assert refused.value.retry_after > 0
    assert admission.used == 0


def test_what_can_never_fit_is_refused_for_good(admission: Admission) -> None:
    with pytest.raises(OverBudgetError, match="memory_budget"):
        admission.reserve("a", 101)
    assert admission.used == 0


def test_a_refused_change_leaves_what_was_held(admission: Admission) -> None:
    held = admission.reserve("a", 60)
    admission.reserve("b", 40)

    with pytest.raises(UnavailableError):
        held.resize(70)

    assert (held.held, admission.used) == (60, 100)


def test_a_client_alone_may_have_all_but_the_last_twelfth(admission: Admission) -> None:
    for _ in range(23):
        admission.reserve("a", 4)
    with pytest.raises(UnavailableError):
        admission.reserve("a", 4)
    assert admission.reserve("b", 8).held == 8


def test_beside_another_a_client_has_at_most_half(admission: Admission) -> None:
    admission.reserve("b", 10)
    for _ in range(2):
        admission.reserve("a", 25)
    with pytest.raises(UnavailableError):
        admission.reserve("a", 1)
    admission.reserve("c", 30)


def test_one_that_was_refused_finds_room_when_it_comes_back(
    admission: Admission, clock: ManualClock
) -> None:
    greedy = [admission.reserve("a", 23) for _ in range(4)]
    with pytest.raises(UnavailableError):
        admission.reserve("b", 25)
    clock.advance(1)
    for reservation in greedy[:3]:
        reservation.release()
    admission.reserve("a", 25)
    with pytest.raises(UnavailableError):
        admission.reserve("a", 25)  # half is left to the one that asked
    admission.reserve("b", 25)


def test_half_is_given_up_again_once_nobody_else_asks(
    admission: Admission, clock: ManualClock
) -> None:
    greedy = [admission.reserve("a", 23) for _ in range(4)]
    with pytest.raises(UnavailableError):
        admission.reserve("b", 25)
    greedy[0].release()
    clock.advance(5.1)
    admission.reserve("a", 23)


def test_one_large_request_is_taken_beside_others(admission: Admission) -> None:
    admission.reserve("b", 10)
    admission.reserve("a", 80)


def test_room_is_waited_for_and_found(eventually: Eventually) -> None:
    admission = Admission(100, SystemClock())
    first = admission.reserve("a", 100)
    got: list[Reservation] = []
    waiting = threading.Thread(target=lambda: got.append(admission.reserve("b", 50, 20)))
    waiting.start()
    eventually(lambda: admission.pressed, "the second waits")

    first.release()

    waiting.join(20)
    assert [reservation.held for reservation in got] == [50]


def test_a_client_alone_waits_for_its_own_room(eventually: Eventually) -> None:
    admission = Admission(120, SystemClock())
    first = admission.reserve("a", 105)
    got: list[Reservation] = []
    waiting = threading.Thread(target=lambda: got.append(admission.reserve("a", 10, 20)))
    waiting.start()
    eventually(lambda: admission.pressed, "the second waits, and isn't refused")

    first.release()

    waiting.join(20)
    assert [reservation.held for reservation in got] == [10]


def test_patience_ends() -> None:
    admission = Admission(100, SystemClock())
    admission.reserve("a", 100)
    with pytest.raises(UnavailableError):
        admission.reserve("b", 1, patience=0.01)


def test_one_with_its_share_waits_for_nothing() -> None:
    admission = Admission(100, SystemClock())
    admission.reserve("a", 50)
    admission.reserve("b", 50)
    with pytest.raises(UnavailableError):
        admission.reserve("a", 1, patience=3600)


def test_it_is_pressed_while_a_refusal_is_young(admission: Admission, clock: ManualClock) -> None:
    admission.reserve("a", 100)
    assert not admission.pressed
    with pytest.raises(UnavailableError):
        admission.reserve("b", 1)
    assert admission.pressed
    clock.advance(5.1)
    assert not admission.pressed


def test_what_a_thread_asks_for_after_the_end_is_held_by_nobody(admission: Admission) -> None:
    late = admission.reserve("a", 10)
    late.release()
    late.resize(90)
    late.release()
    assert admission.used == 0


def test_a_request_is_no_larger_than_a_twelfth_of_the_budget() -> None:
    assert effective_request_size(64 * MIB, 120 * MIB) == 10 * MIB
    assert effective_request_size(4 * MIB, 120 * MIB) == 4 * MIB


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 120), st.integers(0, 9))))
def test_the_budget_is_never_exceeded_and_all_comes_back(
    steps: list[tuple[str, int, int]],
) -> None:
    admission = Admission(100, ManualClock())
    held: list[Reservation] = []
    for client, amount, choice in steps:
        try:
            if choice < 5 or not held:
                held.append(admission.reserve(client, amount))
            elif choice < 8:
                held[choice % len(held)].resize(amount)
            else:
                held.pop().release()
        except (UnavailableError, OverBudgetError):
            pass
        assert admission.used == sum(reservation.held for reservation in held) <= 100
    for reservation in held:
        reservation.release()
    assert admission.used == 0
    assert admission.reserve("d", 100).held == 100
