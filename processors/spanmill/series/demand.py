"""How many label sets are asked for, and what drives their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.state import State
from spanmill.series.hyperloglog import DistinctScan, DistinctWindow, error_ratio, estimate
from spanmill.series.kept_labels import kept_keys, read_labels
from spanmill.series.snapshot import LabelValues
from spanmill.series.state_reader import StateReader

SERVICE_LABELS: Final = ("service", "service_name", "client", "job")
SHOWN_SERVICES: Final = 5
SHOWN_EXAMPLES: Final = 5

_PRECISION: Final = 12
_SERVICE_PRECISION: Final = 9
_SLOTS: Final = 5
_TRACKED_SERVICES: Final = 16
_OFFENDING_SHARE: Final = 1 / 20
_FOLD: Final = 8_192

Hashes = npt.NDArray[np.uint64]
"""Of label sets and their values, (n, 1 + labels), as LabelHasher makes them."""


@dataclass(frozen=True, slots=True)
class LabelDemand:
    """About how many distinct values a label has, and some of those that found no room."""

    label: str
    values: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceDemand:
    """About how many label sets a service asks for, its labels with most values first."""

    service: str
    label_sets: int
    labels: tuple[LabelDemand, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """About how many label sets are asked for, and by whom.

    `error_ratio` is the standard error of `label_sets` and of each label's `values`, relative to
    them; `service_error_ratio` that of the figures of one service. `services` are at most 5,
    the greatest first, each with a twentieth of the demand or more. `examples` are label sets
    that found no room.
    """

    label_sets: int
    error_ratio: float
    service_error_ratio: float
    labels: tuple[LabelDemand, ...]
    services: tuple[ServiceDemand, ...]
    examples: tuple[LabelValues, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """Some of the label sets that have a series: a part of a round through all of them.

    `last` says that the round ends with this part; `held` is how many there are in all, `seen`
    how many of them the first round has come to (all of them, once it has ended).
    """

    hashes: Hashes
    last: bool
    held: int
    seen: int


class DemandWindow:
    """Estimates the demand over the last 1 to 1.25 x `window_ns` from what found no room.

    The label sets that have a series are looked at in rounds, a part at each tick; before the
    first round has ended, those that it hasn't come to are added to the whole as they are, and
    figures of labels and services lack them. Everything is told it in the journal's order and
    read only at ticks, so that reading changes nothing. Who adds a label set again in each slot
    (`slot`) in which it comes keeps it in the window.

    The services with the most label sets are found as frequent items (Misra and Gries, merged
    as by Agarwal et al., "Mergeable Summaries", PODS 2012), 16 of them; each has sketches of its
    own. Memory with 5 labels: 170 KiB, 340 KiB for the services, 0.5 MiB of hashes that wait.
    """

    def __init__(self, names: tuple[str, ...], window_ns: int) -> None:
        self.names: Final = names
        self._slot_ns = max(1, window_ns // (_SLOTS - 1))
        self.slot: int | None = None
        """The number of the current slot; None before the first tick."""
        self._own = DistinctScan(_PRECISION, 1 + len(names))
        self._window = DistinctWindow(_PRECISION, 1 + len(names), _SLOTS)
        self._examples = _Examples()
        found = (i for i, name in enumerate(names) if name in SERVICE_LABELS)
        self._service_label = next(found, None)
        self._services: dict[str, _Service] = {}
        self._waiting: list[tuple[Sequence[LabelValues], Hashes]] = []
        self._waiting_length = 0

    def add(self, keys: Sequence[LabelValues], hashes: Hashes) -> None:
        """Note label sets that found no room."""
        if len(keys):
            self._waiting.append((keys, hashes))
            self._waiting_length += len(keys)
            if self._waiting_length >= _FOLD:
                self._fold()

    def advance(self, now_ns: int, decay: float) -> None:
        """Let time pass; `decay` is how much the weight of services fades."""
        slot = now_ns // self._slot_ns
        passed = max(0, slot - self.slot) if self.slot is not None else 0
        # A clock that was set back moves no slot: the window gets longer for once.
        self.slot = slot
        if passed:
            self._fold()
            self._window.advance(passed)
            self._examples.clear()
        for service in self._services.values():
            service.weight *= decay
            if passed:
                service.window.advance(passed)
                service.examples.clear()

    def report(self, own: Own) -> Demand:
        """The demand with the label sets that have a series, this part of them now."""
        self._fold()
        self._own.observe(own.hashes, last=own.last)
        registers = np.maximum(self._window.union(), self._own.union())
        estimates = [round(estimate(sketch)) for sketch in registers]
        examples = self._examples.keys()
        label_sets = max(estimates[0] + own.held - own.seen, own.held)
        return Demand(
            label_sets=label_sets,
            error_ratio=error_ratio(_PRECISION),
            service_error_ratio=error_ratio(_SERVICE_PRECISION),
            labels=_labels(self.names, estimates[1:], examples),
            services=self._offenders(own, label_sets),
            examples=tuple(examples),
        )

    def kept(self) -> State:
        """A copy of all that was asked for, also of what waits to be sketched."""
        waiting = [key for keys, _ in self._waiting for key in keys]
        hashes = [part for _, part in self._waiting]
        width = 1 + len(self.names)
        return {
            "slot": self.slot,
            "own": self._own.kept(),
            "window": self._window.kept(),
            "examples": self._examples.kept(len(self.names)),
            "services": [
                {"name": name, **service.kept(len(self.names))}
                for name, service in self._services.items()
            ],
            "waiting": kept_keys(waiting, len(self.names)),
            "waiting_hashes": np.concatenate([*hashes, np.zeros((0, width), np.uint64)]),
        }

    def read(self, state: StateReader) -> None:
        """Take over what was kept, where nothing is known yet.

        Raises CheckpointError where it doesn't fit.
        """
        labels = len(self.names)
        self.slot = None if state.value("slot") is None else state.integer("slot", -(2**63))
        self._own.read(state.part("own"))
        self._window.read(state.part("window"))
        self._examples.read(state.part("examples"), labels)
        for kept in state.parts("services"):
            service = _Service(kept.integer("hash") % 2**64, 1 + labels)
            service.read(kept, labels)
            self._services[kept.text("name")] = service
        if len(self._services) > _TRACKED_SERVICES:
            raise state.error(f"{len(self._services)} services are told apart")
        keys = read_labels(state.part("waiting"), labels)
        hashes = state.array("waiting_hashes", np.uint64, (len(keys), 1 + labels))
        self.add(keys, hashes)

    def _offenders(self, own: Own, demand: int) -> tuple[ServiceDemand, ...]:
        if self._service_label is None:
            return ()
        own_services = own.hashes[:, 1 + self._service_label]
        found = []
        for name, service in self._services.items():
            service.own.observe(own.hashes[own_services == service.hash], last=own.last)
            registers = np.maximum(service.window.union(), service.own.union())
            estimates = [round(estimate(sketch)) for sketch in registers]
            if estimates[0] >= demand * _OFFENDING_SHARE:
                labels = _labels(self.names, estimates[1:], service.examples.keys())
                found.append(ServiceDemand(name, estimates[0], labels))
        found.sort(key=lambda service: (-service.label_sets, service.service))
        return tuple(found[:SHOWN_SERVICES])

    def _fold(self) -> None:
        if not self._waiting:
            return
        keys = [key for part, _ in self._waiting for key in part]
        hashes = np.concatenate([part for _, part in self._waiting])
        self._waiting.clear()
        self._waiting_length = 0
        self._window.observe(hashes)
        self._examples.add(keys, hashes)
        if self._service_label is not None:
            self._fold_services(self._service_label, keys, hashes)

    def _fold_services(self, label: int, keys: Sequence[LabelValues], hashes: Hashes) -> None:
        distinct, first, inverse, counts = np.unique(
            hashes[:, 1 + label], return_index=True, return_inverse=True, return_counts=True
        )
        largest = np.argsort(-counts, kind="stable")
        left_out = largest[_TRACKED_SERVICES:]
        threshold = int(counts[left_out[0]]) if len(left_out) else 0
        indexes: dict[str, int] = {}
        for i in largest[:_TRACKED_SERVICES].tolist():
            if counts[i] <= threshold:
                break
            name = keys[int(first[i])][label]
            indexes[name] = i
            if name not in self._services:
                self._services[name] = _Service(int(distinct[i]), hashes.shape[1])
            self._services[name].weight += float(counts[i] - threshold)
        self._keep_heaviest()
        for name, i in indexes.items():
            service = self._services.get(name)
            if service is not None:
                of_it = np.flatnonzero(inverse == i)
                service.window.observe(hashes[of_it])
                service.examples.add([keys[j] for j in of_it.tolist()], hashes[of_it])

    def _keep_heaviest(self) -> None:
        if len(self._services) <= _TRACKED_SERVICES:
            return
        weights = sorted((service.weight for service in self._services.values()), reverse=True)
        threshold = weights[_TRACKED_SERVICES]
        for service in self._services.values():
            service.weight -= threshold
        self._services = {
            name: service for name, service in self._services.items() if service.weight > 0
        }


class _Service:
    """What is known of one service's demand; `hash` is that of its name."""

    def __init__(self, name_hash: int, sketches: int) -> None:
        self.hash = np.uint64(name_hash)
        self.weight = 0.0
        self.window = DistinctWindow(_SERVICE_PRECISION, sketches, _SLOTS)
        self.own = DistinctScan(_SERVICE_PRECISION, sketches)
        self.examples = _Examples()

    def kept(self, labels: int) -> State:
        """A copy of it."""
        return {
            "hash": int(self.hash),
            "weight": self.weight,
            "window": self.window.kept(),
            "own": self.own.kept(),
            "examples": self.examples.kept(labels),
        }

    def read(self, state: StateReader, labels: int) -> None:
        """Take over what was kept."""
        self.weight = state.number("weight")
        self.window.read(state.part("window"))
        self.own.read(state.part("own"))
        self.examples.read(state.part("examples"), labels)


class _Examples:
    """The label sets with the smallest hashes: a uniform sample of the distinct ones."""

    def __init__(self) -> None:
        self._by_hash: dict[int, LabelValues] = {}

    def add(self, keys: Sequence[LabelValues], hashes: Hashes) -> None:
        """Look at label sets and their hashes."""
        column = hashes[:, 0]
        smallest = np.argsort(column, kind="stable")[:SHOWN_EXAMPLES].tolist()
        found = self._by_hash | {int(column[i]): keys[i] for i in smallest}
        self._by_hash = {key: found[key] for key in sorted(found)[:SHOWN_EXAMPLES]}

    def keys(self) -> list[LabelValues]:
        """The sample."""
        return list(self._by_hash.values())

    def kept(self, labels: int) -> State:
        """A copy of the sample."""
        return {
            "hashes": np.array(list(self._by_hash), np.uint64),
            "keys": kept_keys(self.keys(), labels),
        }

    def read(self, state: StateReader, labels: int) -> None:
        """Take over a sample."""
        keys = read_labels(state.part("keys"), labels)
        hashes = state.array("hashes", np.uint64, (len(keys),)).tolist()
        self._by_hash = dict(zip(hashes, keys, strict=True))

    def clear(self) -> None:
        """Forget the sample."""
        self._by_hash.clear()


def _labels(
    names: Sequence[str], estimates: Sequence[int], examples: Sequence[LabelValues]
) -> tuple[LabelDemand, ...]:
    found = [
        LabelDemand(name, estimate_, tuple(dict.fromkeys(key[i] for key in examples if key[i])))
        for i, (name, estimate_) in enumerate(zip(names, estimates, strict=True))
    ]
    return tuple(sorted(found, key=lambda label: -label.values))
