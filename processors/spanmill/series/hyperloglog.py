"""How many distinct things there were: HyperLogLog, and a sliding window of it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.state_reader import StateReader

_HASH_BITS: Final = 64
_AT_ONCE: Final = 2_048  # rows: what is needed meanwhile stays below a megabyte
_ALPHA: Final = 0.5 / np.log(2)  # the estimator's constant for many registers

Registers = npt.NDArray[np.uint8]


def error_ratio(precision: int) -> float:
    """The standard error of an estimate from 2^precision registers, relative to it."""
    return float(1.04 / np.sqrt(1 << precision))


def observe(registers: Registers, hashes: npt.NDArray[np.uint64]) -> None:
    """Take hashes, uint64 (n, k), into k sketches: registers, uint8 (k, 2^precision).

    HyperLogLog of Flajolet, Fusy, Gandouet and Meunier (2007): the low bits of a hash choose a
    register, which keeps the largest number of trailing zeros, plus 1, of the other bits. Two
    sketches merge by the larger of each pair of registers; order and repetition change nothing.
    """
    for begin in range(0, len(hashes), _AT_ONCE):
        _observe(registers, hashes[begin : begin + _AT_ONCE])


def estimate(registers: Registers) -> float:
    """The number of distinct hashes that one sketch, uint8 (2^precision,), has seen.

    The improved raw estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog
    sketches" (arXiv:1702.01284, section 2, algorithm 6): no bias from 0 up to 2^64, no tables.
    """
    size = len(registers)
    most = _HASH_BITS - (size.bit_length() - 1)
    counts = np.bincount(registers, minlength=most + 2).tolist()
    total = size * _tau(1 - counts[most + 1] / size)
    for k in range(most, 0, -1):
        total = 0.5 * (total + counts[k])
    total += size * _sigma(counts[0] / size)
    return float(_ALPHA * size * size / total) if total != np.inf else 0.0


class DistinctWindow:
    """Several sketches at once over a sliding window of whole slots.

    Memory: slots x sketches x 2^precision bytes.
    """

    def __init__(self, precision: int, sketches: int, slots: int) -> None:
        self._registers = np.zeros((slots, sketches, 1 << precision), np.uint8)
        self._current = 0

    def observe(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Take hashes, uint64 (n, sketches), into the current slot."""
        observe(self._registers[self._current], hashes)

    def advance(self, slots: int) -> None:
        """Begin a new slot, as many times; the oldest are forgotten."""
        for _ in range(min(slots, len(self._registers))):
            self._current = (self._current + 1) % len(self._registers)
            self._registers[self._current] = 0

    def merge(self, other: DistinctWindow) -> None:
        """Take in what another window of the same shape and clock has seen, slot by slot."""
        turned = np.roll(other._registers, self._current - other._current, axis=0)
        np.maximum(self._registers, turned, out=self._registers)

    def kept(self) -> State:
        """A copy of the sketches of all slots."""
        return {"registers": self._registers.copy(), "current": self._current}

    def read(self, state: StateReader) -> None:
        """Take over kept sketches; raises CheckpointError where they are of another shape."""
        current = state.integer("current")
        if current >= len(self._registers):
            raise state.error(f"the current slot is {current}")
        self._registers = _registers(state, self._registers.shape)
        self._current = current

    def union(self) -> Registers:
        """A copy of the sketches over the whole window: uint8 (sketches, 2^precision)."""
        merged: Registers = self._registers.max(axis=0)
        return merged


class DistinctScan:
    """Several sketches at once of what exists now, looked at in rounds, a part at a time.

    What was there in the round before counts until this one has ended, so what goes is still
    counted for a round or two. Memory: 2 x sketches x 2^precision bytes.
    """

    def __init__(self, precision: int, sketches: int) -> None:
        self._registers = np.zeros((2, sketches, 1 << precision), np.uint8)

    def observe(self, hashes: npt.NDArray[np.uint64], *, last: bool) -> None:
        """Take a part, uint64 (n, sketches); `last` ends the round."""
        observe(self._registers[1], hashes)
        if last:
            self._registers[0] = self._registers[1]
            self._registers[1] = 0

    def kept(self) -> State:
        """A copy of the sketches of both rounds."""
        return {"registers": self._registers.copy()}

    def read(self, state: StateReader) -> None:
        """Take over kept sketches; raises CheckpointError where they are of another shape."""
        self._registers = _registers(state, self._registers.shape)

    def union(self) -> Registers:
        """A copy of the sketches: uint8 (sketches, 2^precision)."""
        merged: Registers = self._registers.max(axis=0)
        return merged


def _registers(state: StateReader, shape: tuple[int, ...]) -> Registers:
    registers = state.array("registers", np.uint8, shape)
    if int(registers.max(initial=0)) > _HASH_BITS + 1:
        raise state.error("a register of a sketch is larger than any hash makes it")
    return registers.copy()


def _sigma(x: float) -> float:
    """x + the sum over k >= 1 of x^(2^k) 2^(k-1), for x from 0 to 1."""
    if x == 1.0:
        return np.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    """(1 - x - the sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3, for x from 0 to 1."""
    if x in {0.0, 1.0}:
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = x**0.5
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3


def _observe(registers: Registers, hashes: npt.NDArray[np.uint64]) -> None:
    sketches, size = registers.shape
    precision = size.bit_length() - 1
    index = (hashes & np.uint64(size - 1)).astype(np.int64)
    # The bit on top ends the run of zeros where all others are 0.
    rest = (hashes >> np.uint64(precision)) | np.uint64(1 << (_HASH_BITS - precision))
    lowest_bit = rest & (~rest + np.uint64(1))
    rank = np.frexp(lowest_bit.astype(np.float64))[1].astype(np.uint8)
    index += np.arange(sketches) * size
    np.maximum.at(registers.reshape(-1), index.reshape(-1), rank.reshape(-1))
