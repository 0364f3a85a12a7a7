"""The tail sampler's rule, against one written the plain way and against Go's own results."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.trace_sampling import TraceSampler, kept

# Printed by Go 1.26 with the two lines of `calculateThreshold`.
GO_THRESHOLDS = [
    (1.0, 18446744073709551615),
    (0.0, 0),
    (0.1, 1844674407370955263),
    (0.25, 4611686018427387903),
    (0.33, 6087425544324152319),
    (0.5, 9223372036854775807),
    (0.001, 18446744073709551),
    (1e-19, 1),
    (1e-20, 0),
    (5e-324, 0),
    (0.9999999999999999, 18446744073709549567),
    (0.30000000000000004, 5534023222112866303),
    (0.7, 12912720851596685311),
]


def fnv_1a_64(data: bytes) -> int:
    """FNV-1a as its authors define it (draft-eastlake-fnv, section 2)."""
    value = 14695981039346656037
    for byte in data:
        value ^= byte
        value = value * 1099511628211 % 2**64
    return value


def as_ids(*ids: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16)


def plain_threshold(ratio: float) -> int:
    with localcontext() as context:
        context.prec = 400
        return math.floor(Decimal(ratio) * (2**64 - 1))


def test_the_hash_written_here_is_the_published_one() -> None:
    # Test vectors of the reference implementation (fnv_test_str, fnv1a_64_vector).
    assert fnv_1a_64(b"") == 0xCBF29CE484222325
    assert fnv_1a_64(b"a") == 0xAF63DC4C8601EC8C
    assert fnv_1a_64(b"foobar") == 0x85944171F73967E8


@given(
    st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=30),
    st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 0.999]),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_a_trace_is_kept_where_the_plain_rule_keeps_it(
    ids: list[bytes], ratio: float, salt: str
) -> None:
    seed = (salt or "default-hash-seed").encode()
    expected = [fnv_1a_64(seed + trace_id) <= plain_threshold(ratio) for trace_id in ids]
    assert kept(as_ids(*ids), ratio, salt).tolist() == expected


@pytest.mark.parametrize(("ratio", "threshold"), GO_THRESHOLDS)
def test_thresholds_are_those_that_go_computes(ratio: float, threshold: int) -> None:
    sampler = TraceSampler(ratio)
    assert int(sampler.threshold) == threshold


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, True), (0.0, False), (1e-300, False)])
def test_at_the_ends_all_or_none_are_kept(ratio: float, expected: bool) -> None:
    ids = np.random.default_rng(3).integers(0, 256, (1000, 16), np.uint8)
    assert (kept(ids, ratio) == expected).all()


def test_the_share_that_is_kept_is_the_ratio() -> None:
    ids = np.random.default_rng(3).integers(0, 256, (100_000, 16), np.uint8)
    assert kept(ids, 0.1).mean() == pytest.approx(0.1, abs=0.005)


def test_a_view_of_a_larger_array_is_read_as_it_stands() -> None:
    ids = np.random.default_rng(3).integers(0, 256, (64, 24), np.uint8)
    every_other = ids[::2, 4:20]
    assert kept(every_other, 0.5).tolist() == kept(every_other.copy(), 0.5).tolist()


def test_no_traces_are_no_answers() -> None:
    assert kept(as_ids(), 0.5).shape == (0,)
