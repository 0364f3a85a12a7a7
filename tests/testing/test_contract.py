"""The contract checks find what each of them is for, and say what to do."""

from __future__ import annotations

import random

import pytest

from spanmill.processors import Metrics, Processor, SpanBatch
from spanmill.testing import CHECKS, Span, check_processor
from spanmill.testing.trial import Make
from testing import broken

BROKEN: list[tuple[type[Processor], str, str]] = [
    (broken.FailsOnNumbers, "odd_values", r"fails on .*broken\.py:\d+: AttributeError"),
    (broken.FailsOnNothing, "odd_values", "fails on an empty batch"),
    (broken.FailsPerSpan, "odd_values", "fails on an empty name"),
    (broken.ReadsUndeclared, "odd_values", "add it to `attributes`"),
    (broken.DeclaresLater, "odd_values", "must be declared in the constructor"),
    (broken.FailsAtFirstTick, "ticks", "fails at a tick before the first batch"),
    (broken.WritesIntoColumn, "leaves_batch", "writes into the arrays of the batch"),
    (broken.WritesIntoValues, "leaves_batch", "changes name.values of the batch"),
    (broken.ShowsNothing, "counts", r"give check_processor spans="),
    (broken.AsksTheWallClock, "deterministic", r"reads the wall clock \(time\.time\)"),
    (broken.ThrowsDice, "deterministic", "no random numbers"),
    (broken.CountsBatches, "split", "count spans, not batches"),
    (broken.CountsFirstOnly, "mergeable", "must not depend on the spans before it"),
    (broken.CountsSinceFirst, "order", "must not depend on the spans before it"),
    (broken.CountsCodes, "coding", "only the values do"),
    (broken.IgnoresWeights, "weights", "weighted=True"),
    (broken.RemembersAll, "bounded", "keep only so many keys"),
    (broken.HoldsALock, "checkpointable", "keep plain values"),
    (broken.Forgets, "kept", "spans_smoothed.* is .*: write both"),
    (broken.HasNoState, "kept", "shows something else after a restart"),
    (broken.KeepsAnObject, "kept", r"can't be written and read again"),
    (broken.FailsInState, "kept", r"fails in state\(\) \(.*broken\.py:\d+: KeyError"),
    (broken.RefusesItsState, "kept", r"refuses in restore\(\) .*KeyError: 'average'"),
    (broken.ReturnsItsOwnList, "kept", "later batches change: return copies"),
]


def only(check: str) -> list[str]:
    return [name for name in CHECKS if name != check]


def test_a_processor_that_keeps_the_contract_passes() -> None:
    check_processor(broken.Counts)


def test_one_that_keeps_a_state_passes() -> None:
    check_processor(broken.Smooths)


@pytest.mark.parametrize(
    ("make", "check", "sentence"),
    [pytest.param(*case, id=case[0].__name__) for case in BROKEN],
)
def test_a_processor_that_breaks_it_is_told_how(make: Make, check: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=f"- {check}: .*{sentence}"):
        check_processor(make, without=only(check))


def test_every_check_is_broken_by_a_processor() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


def test_all_that_is_wrong_is_told_at_once() -> None:
    # Dice may fall alike for one of the checks, but not for all.
    with pytest.raises(AssertionError, match=r"(\n- \w+: (.|\n)*){2}"):
        check_processor(broken.ThrowsDice)


def test_one_that_declares_no_metric_is_told_how_to() -> None:
    with pytest.raises(
        AssertionError, match=r"DeclaresNothing declares no metric.*metrics.counter"
    ):
        check_processor(broken.DeclaresNothing)


def test_a_check_can_be_left_out_on_purpose() -> None:
    check_processor(broken.IgnoresWeights, without=["weights"])


def test_a_check_that_there_is_not_can_t_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"no check \['wait'\].*weights"):
        check_processor(broken.Counts, without=["wait"])


def test_the_bound_of_what_is_kept_can_be_given() -> None:
    check_processor(broken.RemembersAll, without=["mergeable"], max_state_bytes=10 << 20)


class RareOnly(broken.Counts):
    def observe(self, batch: SpanBatch) -> None:
        self.requests.add(batch, ["x"], where=batch.duration == 12_345)


def test_the_author_s_spans_are_used_too() -> None:
    with pytest.raises(AssertionError, match="- counts: "):
        check_processor(RareOnly)
    check_processor(RareOnly, spans=[Span(duration=12_345)])


def test_random_numbers_of_the_caller_are_left_as_they_were() -> None:
    random.seed(3)
    expected = random.random()
    random.seed(3)
    check_processor(broken.Counts)
    assert random.random() == expected


def test_a_constructor_that_fails_is_told() -> None:
    def make(metrics: Metrics) -> broken.Counts:
        raise KeyError("threshold")

    with pytest.raises(AssertionError, match=r"can't be made .*KeyError"):
        check_processor(make)
