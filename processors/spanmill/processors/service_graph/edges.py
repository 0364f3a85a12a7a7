"""Edges of a batch as columns, and the families that count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.processors.service_graph.names import Names
from spanmill.series.counter import CounterColumn
from spanmill.series.histogram import HistogramColumn
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family

CONNECTION_TYPES: Final = ("", "virtual_node", "messaging_system", "database")
"""The values of the label `connection_type`, by their code in `Edges.connection_type`."""

DIRECT: Final = 0
VIRTUAL_NODE: Final = 1
MESSAGING_SYSTEM: Final = 2
DATABASE: Final = 3

_NAME_BITS: Final = 30


@dataclass(frozen=True, slots=True)
class Edges:
    """Requests between two services, n of them; all arrays have the shape (n,).

    - `client`, `server`: int32, codes of their names.
    - `connection_type`: uint8, an index of CONNECTION_TYPES.
    - `failed`: bool, whether a side that is known ended with an error.
    - `client_ns`, `server_ns`: uint64, the duration on each side in nanoseconds.
    - `client_known`: bool; where it is False nobody measured the client's side.
    - `weight`: float64, how many requests each stands for.
    """

    client: npt.NDArray[np.int32]
    server: npt.NDArray[np.int32]
    connection_type: npt.NDArray[np.uint8]
    failed: npt.NDArray[np.bool_]
    client_ns: npt.NDArray[np.uint64]
    server_ns: npt.NDArray[np.uint64]
    client_known: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.client)


def joined(parts: Sequence[Edges]) -> Edges:
    """The edges of several batches of them, of at least one."""
    return Edges(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Edges))
    )


class EdgeFamilies:
    """Counts requests, failures and durations by client, server and type of connection."""

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
        rows = self._rows(edges, names, now_ns)
        self._requests.add(rows, edges.weight)
        failed = edges.failed
        self._failed.add(rows[failed], edges.weight[failed])
        self._server.observe(rows, edges.server_ns, edges.weight)
        known = edges.client_known
        self._client.observe(rows[known], edges.client_ns[known], edges.weight[known])

    def _rows(self, edges: Edges, names: Names, now_ns: int) -> npt.NDArray[np.int64]:
        key = edges.client.astype(np.int64) << _NAME_BITS | edges.server
        key = key << 2 | edges.connection_type
        distinct, inverse = np.unique(key, return_inverse=True)
        mask = (1 << _NAME_BITS) - 1
        labels = [
            (
                names[code >> (_NAME_BITS + 2)],
                names[code >> 2 & mask],
                CONNECTION_TYPES[code & 3],
            )
            for code in distinct.tolist()
        ]
        requests = np.bincount(inverse, minlength=len(labels))
        return self.label_sets.rows(labels, now_ns, requests)[inverse]
