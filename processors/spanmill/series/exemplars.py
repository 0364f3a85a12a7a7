"""Exemplars of histograms, of which all histograms together keep a bounded number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.log import CLOCK_STEP_NS
from spanmill.journal.state import State
from spanmill.kernels import load_kernel
from spanmill.series.exemplar_records import (
    NO_ENTRY,
    NO_OWNER,
    RECORD,
    Records,
    as_bytes,
    best_by_slot,
    chosen,
    exceeds,
    kept_records,
    lowest,
    put,
    ranks,
    read_records,
    second_of,
)
from spanmill.series.label_sets import LabelSets, grown
from spanmill.series.packed_exemplars import PackedExemplars
from spanmill.series.state_reader import VERSION, StateReader
from spanmill.series.trace_sampling import TraceSampler

MAX_AGE_NS: Final = 300 * 1_000_000_000
"""How long an exemplar stays that nothing replaces; by then many scrapes have seen it."""

_VERSION: Final = 1  # of the kept state


class ExemplarPool:
    """The exemplars of several histograms, at most `max_exemplars` of them.

    There is one place for each label set and finest bucket. Who has it is decided by a total
    order over observations: kept traces first, then the newer second, then a hash, then what
    tells observations apart. Where there are more places than exemplars, the highest by the
    same order stay. So neither the order nor the split of batches changes what is shown, and
    pools can be merged (a place that was given up lost to `max_exemplars` others, which only
    grow). What expires makes room, but doesn't bring back what had lost. Reading changes nothing:
    any number of scrapers find the same.

    A trace counts as kept where the span is an error, or the tail sampler's rule keeps it
    (`TraceSampler`; `kept_ratio` 1: all are).

    Memory: 66 bytes an exemplar, for 1.25 * `max_exemplars` of them, since those beyond the limit
    are dropped a quarter at a time; and 4 bytes for each row and finest bucket of a histogram.
    """

    def __init__(
        self,
        max_exemplars: int,
        kept_ratio: float = 1.0,
        hash_salt: str = "",
        max_age_ns: int = MAX_AGE_NS,
    ) -> None:
        self._limit = max_exemplars
        self._max_age_ns = max_age_ns
        self._ratio = kept_ratio
        self._salt = hash_salt
        self._sampler = TraceSampler(kept_ratio, hash_salt)
        capacity = max_exemplars + max(1, max_exemplars // 4)
        # The record NO_ENTRY has the rank that an observation must reach for a place.
        self._records = np.zeros(capacity + 1, RECORD)
        self._bytes = as_bytes(self._records)
        self._free = np.arange(1, capacity + 1)
        self._free_count = capacity
        self._histograms: list[HistogramExemplars] = []

    def __len__(self) -> int:
        return min(self._held(), self._limit)

    def histogram(
        self, label_sets: LabelSets, layouts_ns: Sequence[Sequence[int]]
    ) -> HistogramExemplars:
        """Places for the exemplars of a histogram with these bucket layouts."""
        histogram = HistogramExemplars(self, len(self._histograms) + 1, label_sets, layouts_ns)
        self._histograms.append(histogram)
        return histogram

    def expire(self, now_ns: int) -> None:
        """Drop what is too old, or ahead of a clock that was set back: it outranks all to come."""
        held, time = self._records["owner"] != NO_OWNER, self._records["time"]
        out = (time <= now_ns - self._max_age_ns) | (time >= now_ns + CLOCK_STEP_NS)
        self._release(np.flatnonzero(held & out))

    def state(self) -> State:
        """A copy of all exemplars and of the entries that they have."""
        held = np.flatnonzero(self._records["owner"] != NO_OWNER)
        return {
            VERSION: _VERSION,
            **self._settings(),
            "entries": held.astype(np.int32),
            "free": self._free[: self._free_count].astype(np.int32),
            "least_rank": int(self._records["rank"][NO_ENTRY]),
            "records": kept_records(self._records.take(held)),
        }

    def restore(self, state: State) -> None:
        """Take over exemplars, where there are none yet; their label sets were restored before.

        Raises CheckpointError, and changes nothing, where the settings or the buckets are others,
        or an exemplar has no series.
        """
        kept = StateReader("exemplars", state)
        kept.version(_VERSION)
        for name, own in self._settings().items():
            kept.same(name, own, name)
        entries = kept.rows("entries", len(self._records))
        free = kept.others("free", entries, NO_ENTRY + 1, len(self._records))
        least_rank = kept.integer("least_rank")
        records = read_records(kept.part("records"), len(entries))
        owners, slots = records["owner"], records["slot"]
        if not np.isin(owners, [histogram.number for histogram in self._histograms]).all():
            raise kept.error("an exemplar is of no histogram")
        mine = [(histogram, owners == histogram.number) for histogram in self._histograms]
        for histogram, its in mine:
            if not histogram.are_places(slots[its]):
                raise kept.error("an exemplar has no series, or two exemplars have one place")
        put(self._records, entries, records)
        self._records["rank"][NO_ENTRY] = least_rank
        self._free[: len(free)] = free
        self._free_count = len(free)
        for histogram, its in mine:
            histogram.entries[slots[its]] = entries[its]

    def _settings(self) -> State:
        return {
            "max_exemplars": self._limit,
            "max_age_ns": self._max_age_ns,
            "kept_ratio": self._ratio,
            "hash_salt": self._salt,
            "bounds_ns": [histogram.bounds_ns() for histogram in self._histograms],
        }

    def ranks(
        self,
        traces: npt.NDArray[np.uint64],
        spans: npt.NDArray[np.uint64],
        errors: npt.NDArray[np.bool_],
        arrival_ns: int,
    ) -> npt.NDArray[np.uint64]:
        """The rank of observations: uint64 (n,)."""
        if self._ratio >= 1:
            kept = np.ones(len(errors), np.bool_)
        elif self._ratio <= 0:
            kept = errors
        else:
            kept = errors | self._sampler.kept(traces.view(np.uint8))
        return ranks(kept, traces, spans, arrival_ns)

    def contenders(
        self, entries: npt.NDArray[np.int32], ranked: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int64]:
        """Which of these ranks may win the places that these entries have: int64 (m,)."""
        return np.flatnonzero(ranked >= self._records["rank"][entries])

    def kernel_of(self, bounds: npt.NDArray[np.uint64]) -> Any:
        """What compares observations with the places of a histogram; None without the kernel."""
        kernel = load_kernel("spanmill.series._contenders")
        if kernel is None:
            return None
        keep = 1 if self._ratio >= 1 else 2 if self._ratio > 0 else 0
        return kernel.Contenders(bounds, keep, self._sampler.salted, self._sampler.threshold)

    def record_bytes(self) -> npt.NDArray[np.uint8]:
        """The records as the kernel reads and replaces them."""
        return self._bytes

    def offer(self, histogram: HistogramExemplars, records: Records) -> None:
        """Take what wins its place; several records may be for one."""
        best = best_by_slot(records)
        held = histogram.entries[best["slot"]]
        is_new = held == NO_ENTRY
        entries, challengers = held[~is_new], chosen(best, ~is_new)
        wins = exceeds(challengers, self._records.take(entries))
        put(self._records, entries[wins], chosen(challengers, wins))
        self._insert(histogram, chosen(best, is_new))

    def shown(self, histogram: HistogramExemplars) -> Records:
        """A copy of the records of one histogram that are within the limit."""
        mine = self._records["owner"] == histogram.number
        mine[self._surplus()] = False
        return chosen(self._records, mine)

    def drop(self, entries: npt.NDArray[np.int32]) -> None:
        """Give up these entries, some of which may be NO_ENTRY."""
        self._release(entries[entries != NO_ENTRY])

    def _held(self) -> int:
        return len(self._free) - self._free_count

    def _insert(self, histogram: HistogramExemplars, records: Records) -> None:
        """Give places to records whose slots are different and have none."""
        while len(records):
            if not self._free_count:
                self._trim()
            taken = min(len(records), self._free_count)
            self._free_count -= taken
            entries = self._free[self._free_count : self._free_count + taken]
            put(self._records, entries, records[:taken])
            histogram.entries[records["slot"][:taken]] = entries
            records = records[taken:]

    def _trim(self) -> None:
        surplus = self._surplus()
        self._release(surplus)
        held = self._records["owner"] != NO_OWNER
        # Whatever ranks below all of them would be the next to go.
        self._records["rank"][NO_ENTRY] = self._records["rank"][held].min()

    def _surplus(self) -> npt.NDArray[np.int64]:
        """The lowest entries, those beyond the limit: int64 (m,)."""
        if self._held() <= self._limit:
            return np.zeros(0, np.int64)
        held = np.flatnonzero(self._records["owner"] != NO_OWNER)
        return lowest(self._records, held, len(held) - self._limit)

    def _release(self, entries: npt.NDArray[np.integer]) -> None:
        if not len(entries):
            return
        owners, slots = self._records["owner"][entries], self._records["slot"][entries]
        for number in np.unique(owners).tolist():
            self._histograms[number - 1].entries[slots[owners == number]] = NO_ENTRY
        self._records["owner"][entries] = NO_OWNER
        self._free[self._free_count : self._free_count + len(entries)] = entries
        self._free_count += len(entries)
        if self._held() < self._limit:
            self._records["rank"][NO_ENTRY] = 0


class HistogramExemplars:
    """The exemplars of one histogram: a column of its label sets, and what a registry shows.

    The finest buckets are those between all bounds of all its layouts, so that one exemplar of
    each serves every layout. `entries` is int32 (rows * buckets,): where the pool has the
    exemplar of each place, or NO_ENTRY.
    """

    def __init__(
        self,
        pool: ExemplarPool,
        number: int,
        label_sets: LabelSets,
        layouts_ns: Sequence[Sequence[int]],
    ) -> None:
        self.number: Final = number
        self.entries = np.zeros(0, np.int32)
        self._pool = pool
        self._label_sets = label_sets
        layouts = [np.asarray(layout, np.uint64) for layout in layouts_ns]
        self._bounds = np.unique(np.concatenate(layouts))
        self._buckets = len(self._bounds) + 1
        self._kernel = pool.kernel_of(self._bounds)
        # The bucket of each layout that a finest bucket is a part of.
        self._parts_of = [
            np.append(np.searchsorted(layout, self._bounds), len(layout)) for layout in layouts
        ]
        label_sets.attach(self)

    def observe(
        self,
        rows: npt.NDArray[np.int64],
        durations: npt.NDArray[np.uint64],
        *,
        trace_ids: npt.NDArray[np.uint8],
        span_ids: npt.NDArray[np.uint8],
        errors: npt.NDArray[np.bool_],
        arrival_ns: int,
    ) -> None:
        """Take n observations into account.

        `rows` is int64 (n,), `durations` uint64 (n,) in nanoseconds, `trace_ids` uint8 (n, 16),
        `span_ids` uint8 (n, 8), `errors` bool (n,). `arrival_ns` becomes the exemplars' time:
        as counters count on arrival, and since Prometheus takes no exemplar of a series that is
        older than the one before.
        """
        if self._kernel is None:
            slots = rows * self._buckets + np.searchsorted(self._bounds, durations)
            traces, spans = _words(trace_ids), _words(span_ids)[:, 0]
            ranked = self._pool.ranks(traces, spans, errors, arrival_ns)
            these = self._pool.contenders(self.entries[slots], ranked)
            slots, ranked = slots[these], ranked[these]
        else:
            n = len(rows)
            found, slots, ranked = (
                np.empty(n, np.int64),
                np.empty(n, np.int64),
                np.empty(n, np.uint64),
            )
            count = self._kernel.observe(
                rows,
                durations,
                trace_ids=trace_ids,
                span_ids=span_ids,
                errors=errors.view(np.uint8),
                second=second_of(arrival_ns),
                arrival_ns=arrival_ns,
                entries=self.entries,
                records=self._pool.record_bytes(),
                found=found,
                slots=slots,
                ranks=ranked,
            )
            these, slots, ranked = found[:count], slots[:count], ranked[:count]
        if not len(these):
            return
        records = np.empty(len(these), RECORD)
        records["rank"] = ranked
        records["trace"] = _words(trace_ids[these])
        records["span"] = _words(span_ids[these])[:, 0]
        records["duration"] = durations[these]
        records["time"] = arrival_ns
        records["slot"] = slots
        records["owner"] = self.number
        self._pool.offer(self, records)

    def merge(self, other: HistogramExemplars, rows: npt.NDArray[np.int64]) -> None:
        """Take over another histogram's exemplars; `rows` is int64, by its rows those of this one.

        Raises ValueError where the bounds differ.
        """
        if not np.array_equal(self._bounds, other._bounds):
            raise ValueError("exemplars of other bounds can't be merged")
        records = other._pool.shown(other)
        if not len(records):
            return
        row, bucket = np.divmod(records["slot"], self._buckets)
        records["slot"] = rows[row] * self._buckets + bucket
        records["owner"] = self.number
        self._pool.offer(self, records)

    def exemplars(self, rows: npt.NDArray[np.int64], layout: int, unit_ns: int) -> PackedExemplars:
        """By position in `rows`, then by bucket of this layout; values in units of `unit_ns`."""
        return self.packed(self.shown(), rows, layout, unit_ns)

    def shown(self) -> Records:
        """A copy of the records as they are now, within the pool's limit: (n,)."""
        return self._pool.shown(self)

    def packed(
        self, records: Records, rows: npt.NDArray[np.int64], layout: int, unit_ns: int
    ) -> PackedExemplars:
        """What `exemplars` gives, from records that `shown` gave; it needs no lock any more."""
        row, finest = np.divmod(records["slot"], self._buckets)
        positions = np.full(len(self.entries) // self._buckets, -1)
        positions[rows] = np.arange(len(rows))
        position, bucket = positions[row], self._parts_of[layout][finest]
        # The highest of those that share a bucket comes last.
        order = np.lexsort((records["slot"], records["rank"], bucket, position))
        place = (position * self._buckets + bucket)[order]
        order = order[np.append(place[1:] != place[:-1], True)[: len(place)]]
        order = order[position[order] >= 0]
        records = records.take(order)
        return PackedExemplars(
            positions=position[order],
            buckets=bucket[order],
            trace_ids=np.ascontiguousarray(records["trace"]).view(np.uint8),
            span_ids=np.ascontiguousarray(records["span"]).view(np.uint8).reshape(-1, 8),
            values=records["duration"].astype(np.float64) / unit_ns,
            seconds=records["time"] / 1e9,
        )

    def bounds_ns(self) -> list[int]:
        """The bounds of the finest buckets, in nanoseconds."""
        bounds: list[int] = self._bounds.tolist()
        return bounds

    def are_places(self, slots: npt.NDArray[np.int64]) -> bool:
        """Whether these are places of series that exist, each once."""
        shown, _ = self._label_sets.shown()
        exist = bool(np.isin(slots // self._buckets, shown).all())
        return exist and len(np.unique(slots)) == len(slots)

    def grow(self, capacity: int) -> None:
        """Make room for `capacity` rows; new ones are empty."""
        self.entries = grown(self.entries, capacity * self._buckets)

    def reset(self, row: int) -> None:
        """Give up a row's exemplars: another label set will use it."""
        self._pool.drop(self.entries[row * self._buckets : (row + 1) * self._buckets])

    def reset_rows(self, rows: npt.NDArray[np.int64]) -> None:
        """Give up the exemplars of rows, int64 (m,)."""
        self._pool.drop(self.entries.reshape(-1, self._buckets)[rows].ravel())


def _words(ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Ids as numbers: uint8 (n, 8 m) to uint64 (n, m)."""
    return np.ascontiguousarray(ids).view(np.uint64)
