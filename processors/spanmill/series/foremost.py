"""The largest of many numbers, without sorting them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.uint64]

_DIGITS: Final = 4
_DIGIT: Final = 1 << 16
_SORTED: Final = 8_192  # a sort of so many is faster than counting their digits
_SAMPLE: Final = 2_048
_MARGIN: Final = 8  # of the sample: so that it hardly ever names too large a number


def ranks_of(amounts: npt.NDArray[np.float64]) -> Ranks:
    """Numbers in the order of these amounts (n,), none of which is below 0."""
    # The bits of floats that aren't negative are ordered as the floats are (IEEE 754).
    return np.ascontiguousarray(amounts).view(np.uint64)


def foremost(
    ranks: Ranks, hashes: Callable[[npt.NDArray[np.int64]], Ranks], most: int
) -> npt.NDArray[np.int64]:
    """The positions of the largest ranks, in order; among equals the smaller hash comes first.

    `ranks` is (n,), `hashes` gives those of positions, and where they are equal too, the smaller
    position comes first. Takes time in proportion to n, whatever the numbers are.
    """
    if most <= 0:
        return np.zeros(0, np.int64)
    found = np.arange(len(ranks)) if most >= len(ranks) else _largest(ranks, hashes, most)
    return found[np.lexsort((found, hashes(found), ~ranks[found]))]


def kth_largest(ranks: Ranks, k: int) -> np.uint64:
    """The k-th largest of n >= k >= 1 numbers.

    A sample says about which it is, and how many are above that says whether it is; then only
    those above are left to look at. `np.partition` takes twenty times as long where most of the
    numbers are equal, as the traffic of idle series is.
    """
    if len(ranks) <= _SORTED:
        return _kth_of_few(ranks, k)
    step = len(ranks) // _SAMPLE
    sample = np.sort(ranks[::step])
    guess: np.uint64 = sample[max(0, len(sample) - 2 * k // step - _MARGIN)]
    above = ranks[ranks > guess]
    if len(above) >= k:
        return _selected(above, k)
    if np.count_nonzero(ranks == guess) >= k - len(above):
        return guess
    return _selected(ranks, k)


def _kth_of_few(ranks: Ranks, k: int) -> np.uint64:
    kth: np.uint64 = np.sort(ranks)[-k]
    return kth


def _selected(ranks: Ranks, k: int) -> np.uint64:
    """The same by a radix selection, 16 bits at a time: its time hardly depends on the numbers."""
    for place in reversed(range(_DIGITS)):
        if len(ranks) <= _SORTED:
            break
        digits = ranks.view("<u2")[place::_DIGITS]
        counts = np.bincount(digits, minlength=_DIGIT)
        from_top = np.cumsum(counts[::-1])
        below_top = int(np.searchsorted(from_top, k))
        digit = _DIGIT - 1 - below_top
        k -= int(from_top[below_top] - counts[digit])
        if counts[digit] < len(ranks):
            ranks = ranks[digits == digit]
    return _kth_of_few(ranks, k)


def _largest(
    ranks: Ranks, hashes: Callable[[npt.NDArray[np.int64]], Ranks], most: int
) -> npt.NDArray[np.int64]:
    above, equal = _split(ranks, most)
    places = most - len(above)
    if places < len(equal):
        smaller, same = _split(~hashes(equal), places)
        equal = equal[np.concatenate((smaller, same[: places - len(smaller)]))]
    return np.concatenate((above, equal))


def _split(ranks: Ranks, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The positions above the `most`-th largest rank, and those equal to it."""
    bound = kth_largest(ranks, most)
    return np.flatnonzero(ranks > bound), np.flatnonzero(ranks == bound)
