"""Edges of a batch as columns, and the families that count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.names import Names
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.label_sets import OVERFLOW_ROW
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family, LabelValues

CONNECTION_TYPES: Final = ("", "virtual_node", "messaging_system", "database")
"""The values of the label `connection_type`, by their code in `Edges.connection_type`."""

DIRECT: Final = 0
VIRTUAL_NODE: Final = 1
MESSAGING_SYSTEM: Final = 2
DATABASE: Final = 3

_NAME_BITS: Final = 30
_NAME_MASK: Final = (1 << _NAME_BITS) - 1
_NO_ROW: Final = -1

EdgeKeys = npt.NDArray[np.int64]
"""Client, server and connection type as one number: 30 bits, 30 bits and 2."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Requests between two services: n of them, with m different keys.

    - `keys`: EdgeKeys (m,), each once, in the order in which they come first; `counts`: int64
      (m,), how many of the edges have each.
    - `positions`: int64 (n,), the position of each edge's key in `keys`.
    - `failed`: bool (n,), whether a side that is known ended with an error.
    - `client_ns`, `server_ns`: uint64 (n,), the duration on each side in nanoseconds.
    - `client_known`: bool (n,); where it is False nobody measured the client's side.
    - `weight`: float64 (n,), how many requests each stands for.
    """

    keys: EdgeKeys
    counts: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    client_ns: npt.NDArray[np.uint64]
    server_ns: npt.NDArray[np.uint64]
    client_known: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positions)


def edge_keys(
    client: npt.NDArray[np.int32],
    server: npt.NDArray[np.int32],
    connection_type: npt.NDArray[np.uint8],
) -> EdgeKeys:
    """The key of each edge, from the codes of its names and its type: arrays (n,)."""
    return (client.astype(np.int64) << (_NAME_BITS + 2)) | (server << 2) | connection_type


class EdgeFamilies:
    """Counts requests, failures and durations by client, server and type of connection.

    The rows of known edges are found by their keys: 100 bytes each, for as many as there are
    series.
    """

    def __init__(
        self,
        registry: Registry,
        bounds_ns: Sequence[int],
        max_series: int,
        idle_timeout_ns: int,
        processor: str,
    ) -> None:
        self.label_sets = registry.label_sets(
            ("client", "server", "connection_type"), max_series, idle_timeout_ns, processor
        )
        self._known: dict[int, int] = {}
        self.label_sets.watch(self)
        self._requests = CounterColumn(self.label_sets)
        self._failed = CounterColumn(self.label_sets)
        self._server = HistogramColumn(self.label_sets, [bounds_ns], native=True)
        self._client = HistogramColumn(self.label_sets, [bounds_ns], native=True)
        name = "traces_service_graph_request"
        requests = Family(f"{name}_total", "counter", "Requests between two services.")
        failed = Family(
            f"{name}_failed_total", "counter", "Requests that ended with an error on either side."
        )
        server = Family(
            f"{name}_server_seconds", "histogram", "Duration of requests, seen by the server."
        )
        client = Family(
            f"{name}_client_seconds", "histogram", "Duration of requests, seen by the client."
        )
        registry.expose_values(requests, self.label_sets, self._requests)
        registry.expose_values(failed, self.label_sets, self._failed)
        registry.expose_histogram(server, self.label_sets, self._server, native=True)
        registry.expose_histogram(client, self.label_sets, self._client, native=True)

    def count(self, edges: Edges, names: Names, now_ns: int) -> None:
        """Count each edge once, `weight` times."""
        rows = self._rows_of(edges, names, now_ns)[edges.positions]
        self._requests.add(rows, edges.weight)
        failed = edges.failed
        if failed.any():
            self._failed.add(rows[failed], edges.weight[failed])
        self._server.observe(rows, edges.server_ns, edges.weight)
        known = edges.client_known
        if known.all():
            self._client.observe(rows, edges.client_ns, edges.weight)
        else:
            self._client.observe(rows[known], edges.client_ns[known], edges.weight[known])

    def forget_keys(self) -> None:
        """Remember no row by its key: names have other codes from now on."""
        self._known.clear()

    def left(self, rows: npt.NDArray[np.int64]) -> None:  # noqa: ARG002 - it happens rarely
        """Rows belong to other label sets from now on."""
        self._known.clear()

    def _rows_of(self, edges: Edges, names: Names, now_ns: int) -> npt.NDArray[np.int64]:
        """The row of each key: int64 (m,)."""
        keys = edges.keys.tolist()
        known = self._known
        rows = np.array([known.get(key, _NO_ROW) for key in keys], np.int64)
        missing = np.flatnonzero(rows == _NO_ROW)
        if not len(missing):
            self.label_sets.touch(rows, now_ns, edges.counts)
            return rows
        there = np.flatnonzero(rows != _NO_ROW)
        self.label_sets.touch(rows[there], now_ns, edges.counts[there])
        asked = [keys[i] for i in missing.tolist()]
        labels = [_labels(key, names) for key in asked]
        rows[missing] = self.label_sets.rows(labels, now_ns, edges.counts[missing])
        # The overflow row must be asked for each time.
        found = zip(asked, rows[missing].tolist(), strict=True)
        known.update((key, row) for key, row in found if row != OVERFLOW_ROW)
        return rows


def _labels(key: int, names: Names) -> LabelValues:
    client, server = key >> (_NAME_BITS + 2), key >> 2 & _NAME_MASK
    return names[client], names[server], CONNECTION_TYPES[key & 3]
