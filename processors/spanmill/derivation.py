"""From committed records to processors: live, and again after a restart."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from spanmill.config.model import Config
from spanmill.errors import RequestError
from spanmill.journal.log import Entry, Record, Signal
from spanmill.journal.stored import StoredRecord
from spanmill.points.batch import PointBatch
from spanmill.points.decoder import DecodedMetrics
from spanmill.processors.factory import build_processors, build_service_metrics
from spanmill.processors.guard import show_processors
from spanmill.processors.span_metrics import SpanMetrics
from spanmill.receivers.once import Once
from spanmill.receivers.signals import TAKEN_METRICS, Decoded, TakenSignal, taken_traces
from spanmill.series.registry import Registry
from spanmill.spans.batch import SpanBatch
from spanmill.spans.decoder import DecodedRequest, Decoder
from spanmill.spans.installed import load_decoder
from spanmill.spans.sampling import weighted_by
from spanmill.telemetry import Telemetry

_log = logging.getLogger(__name__)


class Derivation:
    """Takes records into every processor, in the order of the journal.

    It knows no time but that of the records: the same records give the same figures, whether
    they have just been committed or are read again after a restart.
    """

    def __init__(
        self, config: Config, registry: Registry, telemetry: Telemetry, once: Once | None
    ) -> None:
        self._registry = registry
        self._once = once
        self._telemetry = telemetry
        wired = (config, registry, telemetry)
        self._processors = build_processors(*wired)
        self._service_metrics = build_service_metrics(*wired)
        show_processors(registry, (*self._processors, self._service_metrics))
        self._multiplier = config.sampling.multiplier_attribute
        columns = dict.fromkeys(key for guard in self._processors for key in guard.attributes)
        if self._multiplier is not None:
            columns.setdefault(self._multiplier)
        group_by = next((p.attributes for p in self._processors if p.name == SpanMetrics.name), ())
        self.decoder: Final[Decoder] = load_decoder(tuple(columns), group_by)
        self.taken: Final[dict[Signal, TakenSignal]] = {
            taken.signal: taken for taken in (taken_traces(self.decoder), TAKEN_METRICS)
        }
        """The signals that are taken."""

    def apply(self, record: Record[Decoded | None]) -> None:
        """Take one committed record into every processor; runs under the registry's lock."""
        entry = record.entry
        self._registry.applying(record.arrival_ns)
        if entry.signal is Signal.TICK:
            self._tick(record.arrival_ns)
            return
        if entry.duplicate:
            self._telemetry.books_of(entry.signal).received.add(entry.items, "duplicate")
            return
        self._telemetry.count_received(entry.signal, entry.items, entry.rejected)
        if self._once is not None:
            self._once.applied(entry.key, entry.items, entry.rejected, record.arrival_ns)
        match entry.decoded:
            case DecodedRequest(batch=spans):
                self._apply_spans(spans.arrived(record.arrival_ns))
            case DecodedMetrics(batch=points):
                self._apply_points(points.arrived(record.arrival_ns))

    def replay(self, stored: StoredRecord) -> None:
        """Take a record of the journal again that was committed by an earlier process.

        One that can't be decoded any more is counted as filtered, and the log has its position.
        """
        decoded: Decoded | None = None
        if stored.signal in self.taken and not stored.duplicate:
            try:
                decoded, _ = self.taken[stored.signal].decode(stored.payload or b"")
            except RequestError as error:
                _log.error(
                    "a record of the journal can't be decoded; its items are not derived from",
                    extra={"position": stored.position, "reason": str(error)},
                )
        entry = Entry(
            payload=stored.payload or b"",
            signal=stored.signal,
            source=stored.source,
            items=stored.items,
            decoded=decoded,
            rejected=stored.rejected,
            key=stored.key,
            duplicate=stored.duplicate,
        )
        with self._registry.lock:
            self.apply(Record(stored.position, stored.arrival_ns, entry))
            if decoded is None and stored.items and not stored.duplicate:
                self._telemetry.books_of(stored.signal).accepted.add(stored.items, "filtered")

    def _apply_spans(self, batch: SpanBatch) -> None:
        if self._multiplier is not None:
            batch = weighted_by(batch, self._multiplier)
        arrival = np.uint64(batch.arrival_ns)
        self._telemetry.span_lateness.observe(arrival - np.minimum(batch.end, arrival))
        for processor in self._processors:
            if not processor.observe(batch) and processor.name == SpanMetrics.name:
                self._telemetry.spans_accepted.add(len(batch), "filtered")

    def _apply_points(self, batch: PointBatch) -> None:
        if not self._service_metrics.observe(batch):
            self._telemetry.points_accepted.add(len(batch), "filtered")

    def _tick(self, now_ns: int) -> None:
        self._registry.expire(now_ns)
        for processor in self._processors:
            processor.tick(now_ns)
        self._service_metrics.tick(now_ns)
