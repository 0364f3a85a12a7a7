"""What a flood of label sets that come once costs, and what counting traffic costs without one."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass
from typing import Final

import numpy as np

from spanmill.series.label_sets import LabelSets
from spanmill.series.snapshot import LabelValues

_NAMES: Final = ("service", "span_name", "span_kind", "status_code", "http_route")
_LIMIT: Final = 20_000
_BATCH: Final = 500
_SECOND: Final = 1_000_000_000
_BATCHES_A_TICK: Final = 100


@dataclass(frozen=True)
class FloodCost:
    """Costs at a limit of 20,000: CPU in µs a new label set and ms a tick, peak memory in MB.

    `plain` is CPU in µs of a batch of 500 known label sets without traffic, `told` with it.
    """

    new: float
    tick: float
    memory: float
    plain: float
    told: float


def flood_cost(new: int) -> FloodCost:
    """Fill the limit, then send so many label sets that come once."""
    spent, ticks = _flood(_full(), new)
    tracemalloc.start()
    try:
        full = _full()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        _flood(full, new // 4)
        memory = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    plain, told = _known(None), _known(np.ones(_BATCH, np.int64))
    return FloodCost(spent / new * 1e6, ticks * 1e3, memory / 1e6, plain * 1e6, told * 1e6)


def _full() -> LabelSets:
    sets = LabelSets(_NAMES, _LIMIT, 900 * _SECOND)
    for begin in range(0, _LIMIT, _BATCH):
        sets.rows(_keys("shop", begin), 0, np.full(_BATCH, 5))
    return sets


def _flood(sets: LabelSets, new: int) -> tuple[float, float]:
    """CPU seconds of all label sets, and of the average tick."""
    ones = np.ones(_BATCH, np.int64)
    spent, ticks = 0.0, []
    for batch in range(new // _BATCH):
        keys = _keys("checkout", batch * _BATCH)
        begin = time.process_time()
        sets.rows(keys, 0, ones)
        spent += time.process_time() - begin
        if batch % _BATCHES_A_TICK == _BATCHES_A_TICK - 1:
            begin = time.process_time()
            sets.expire((batch // _BATCHES_A_TICK) * 10 * _SECOND)
            ticks.append(time.process_time() - begin)
    return spent, sum(ticks) / max(1, len(ticks))


def _known(counts: np.ndarray[tuple[int], np.dtype[np.int64]] | None) -> float:
    """CPU seconds of one batch of label sets that all have a series."""
    sets = LabelSets(_NAMES, _LIMIT, 900 * _SECOND)
    keys = _keys("shop", 0)
    best = float("inf")
    for _ in range(200):
        begin = time.process_time()
        for _ in range(10):
            sets.rows(keys, 0, counts)
        best = min(best, (time.process_time() - begin) / 10)
    return best


def _keys(service: str, begin: int) -> list[LabelValues]:
    return [
        (service, f"GET /cart/{i}", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET", "/cart")
        for i in range(begin, begin + _BATCH)
    ]
