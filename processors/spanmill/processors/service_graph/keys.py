"""One number that stands for a span: its trace id and its span id, hashed."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))
_KEY_SHIFT: Final = np.uint64(4)


def trace_hashes(trace_ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The part of a key that all spans of a trace share: uint8 (n, 16) to uint64 (n,)."""
    words = np.ascontiguousarray(trace_ids).view("<u8")
    return _mixed(_mixed(words[:, 0]) ^ words[:, 1])


def span_keys(
    trace_hash: npt.NDArray[np.uint64], span_ids: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """A key of 60 bits for each span: uint64 (n,) and uint8 (n, 8) to int64 (n,).

    Two different spans share a key with a probability of 2^-60: among 100,000 remembered spans
    one of 10^13 is taken for another. 60 bits are what a Python integer holds in 32 bytes. The
    hash has no secret, so that a replay gives the same; keys that someone contrives cost a
    dictionary a few more probes. The mixing is that of SplitMix64 (Steele, Lea, Flood: Fast
    splittable pseudorandom number generators, 2014, figure 16), chained over the three words.
    """
    words = np.ascontiguousarray(span_ids).view("<u8")[:, 0]
    return (_mixed(trace_hash ^ words) >> _KEY_SHIFT).astype(np.int64)


def _mixed(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    word = word + _STEP
    word ^= word >> _SHIFTS[0]
    word *= _FIRST
    word ^= word >> _SHIFTS[1]
    word *= _SECOND
    word ^= word >> _SHIFTS[2]
    return word
