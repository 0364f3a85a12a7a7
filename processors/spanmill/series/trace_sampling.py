"""Which traces a tail sampler behind spanmill keeps, by its own rule."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

DEFAULT_SALT: Final = "default-hash-seed"
"""What the sampler takes for an empty `hash_salt`."""

_OFFSET_BASIS: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_LARGEST: Final = 2**64 - 1
_PRECISION: Final = 64


class TraceSampler:
    """The `probabilistic` policy of the Collector's tail_sampling processor.

    A trace is kept where FNV-1a 64 of the salt's bytes and then the trace id's 16 bytes is at
    most (2^64 - 1) * ratio; the product has 64 bits of precision, rounded to even, and loses
    its fraction. An empty salt is "default-hash-seed". Where the policy is set by
    `sampling_percentage`, `ratio` is a hundredth of it.

    Source: opentelemetry-collector-contrib, processor/tailsamplingprocessor/internal/sampling/
    probabilistic.go (`hashTraceID`, `calculateThreshold`), the same from 0.111 to 0.159. Not
    followed: the feature gate `processor.tailsamplingprocessor.usetracestate`, off by default,
    which decides by the trace state instead.
    """

    def __init__(self, ratio: float, salt: str = "") -> None:
        self.threshold: Final = np.uint64(_threshold(ratio))
        """The largest hash that is kept."""
        state = _OFFSET_BASIS
        for byte in (salt or DEFAULT_SALT).encode():
            state = (state ^ byte) * _PRIME & _LARGEST
        self.salted: Final = np.uint64(state)
        """The hash after the salt's bytes."""

    def kept(self, trace_ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Whether each trace is kept: uint8 (n, 16) to bool (n,)."""
        prime = np.uint64(_PRIME)
        hashes = np.full(len(trace_ids), self.salted)
        for byte in trace_ids.T.astype(np.uint64):
            hashes ^= byte
            hashes *= prime
        kept: npt.NDArray[np.bool_] = hashes <= self.threshold
        return kept


def kept(trace_ids: npt.NDArray[np.uint8], ratio: float, salt: str = "") -> npt.NDArray[np.bool_]:
    """Whether the sampler keeps each trace: uint8 (n, 16) to bool (n,); see TraceSampler."""
    return TraceSampler(ratio, salt).kept(trace_ids)


def _threshold(ratio: float) -> int:
    """The largest hash that is kept, as Go's math/big computes it: Float.Mul, then Uint64."""
    product = Fraction(ratio) * _LARGEST
    whole_bits = int(product).bit_length()
    scale = 2 ** (_PRECISION - whole_bits)
    return min(int(Fraction(round(product * scale), scale)), _LARGEST)
