"""The metrics that services send, shown as they stand beside what is derived.

Names and labels follow OpenTelemetry's compatibility specification (`points.names`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from spanmill.errors import CheckpointError
from spanmill.journal.state import State
from spanmill.points.batch import (
    Attributes,
    ExponentialPoint,
    Metric,
    NumberPoint,
    Point,
    PointBatch,
)
from spanmill.points.exponential import LOWEST_SCHEMA
from spanmill.points.names import FamilyKind, family_kind, translated_name
from spanmill.series.passed_through import (
    PassedThrough,
    PassedThroughFamily,
    text_bytes,
)
from spanmill.series.passed_through_conflicts import ConflictLog
from spanmill.series.passed_through_labels import (
    Labels,
    scope_labels,
    sender_labels,
    series_labels,
    target_labels,
)
from spanmill.series.passed_through_series import PassedThroughSeries
from spanmill.series.passed_through_spellings import Spelling, Spellings, spelling_of
from spanmill.series.passed_through_state import FORM, converted
from spanmill.series.registry import Registry
from spanmill.series.snapshot import Family
from spanmill.telemetry import Telemetry

_TARGET_INFO: Final = Family("target_info", "gauge", "Attributes of what sends metrics.")
_LONGEST_NAME: Final = 1024
_LONGEST_SENT_NAME: Final = 4096
_LONGEST_HELP: Final = 256
_LONGEST_KEY_BYTES: Final = 8192
_KEYS_PER_SERIES: Final = 3
_KEY_BYTES: Final = 170
_STREAM_BYTES: Final = 900
_PLACE_BYTES: Final = 8


_StreamKey = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ServiceMetricsSettings:
    """How many series there may be, and how long one stays without a new point."""

    max_series: int
    stale_after_ns: int


@dataclass(slots=True)
class _Sender:
    """A resource: its labels for every series, and those of its `target_info`."""

    resource: Attributes
    labels: dict[str, str]
    target: Labels | None


@dataclass(slots=True)
class _Stream:
    """What the points of one metric, sender and scope have in common.

    `series` finds a series by the attributes as they were sent, without translating them.
    `family` is None where the name can't be translated. It is `remembered` under its key from
    the first series that it finds.
    """

    key: _StreamKey
    family: Family | None
    labels: Mapping[str, str]
    kind: FamilyKind
    series: dict[Attributes, PassedThroughSeries] = field(default_factory=dict)
    bytes: int = 0
    remembered: bool = False


class _KeptMetrics(msgspec.Struct):
    """The store, and every spelling of its names."""

    form: int
    store: State
    spellings: list[tuple[Spelling, str]]
    all_spelled: bool


class ServiceMetrics:
    """Keeps the latest value of each series that services send.

    What was sent is remembered to find its series fast: at most three keys a series (its own, its
    metric's, its sender's), of at most 8 KiB, and what found none is forgotten at once. All of
    it, series, families and keys, takes at most BYTES_PER_SERIES a series, as estimated; the keys
    get what the series leave.
    While there is no room for more series, a metric whose family isn't there costs two look-ups.
    """

    name = "service_metrics"

    def __init__(
        self, settings: ServiceMetricsSettings, registry: Registry, telemetry: Telemetry
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._store = PassedThrough(registry, settings.max_series)
        self._conflicts = ConflictLog()
        self._target_family = self._store.own(_TARGET_INFO)
        self._senders: dict[Attributes, _Sender] = {}
        self._last_sender: _Sender | None = None
        self._shown_sender: _Sender | None = None
        self._targets: dict[tuple[str, str], PassedThroughSeries] = {}
        self._streams: dict[_StreamKey, _Stream] = {}
        self._spellings = Spellings(settings.max_series)
        self._keys = 0
        self._key_bytes = 0
        self._filtered = registry.counter(
            "spanmill_metric_points_filtered_total",
            "Accepted metric points that changed nothing on the scrape, by reason.",
            ("reason",),
            kept=True,
        )
        registry.show_size(self.name, self._store)
        size = registry.gauge(
            "spanmill_service_metric_bytes",
            "What services' metrics take, with all that is remembered of them, estimated.",
        )
        registry.before_snapshot(lambda: size.set(self.estimated_bytes))
        registry.keep(self.name, self)

    @property
    def estimated_bytes(self) -> int:
        """What the series, their families and what is remembered take, as the limit counts it."""
        return self._store.estimated_bytes + self._key_bytes + self._spellings.bytes

    @property
    def remembered_keys(self) -> int:
        """How many keys of what was sent are remembered."""
        return self._keys

    def observe(self, batch: PointBatch) -> None:
        """Take the points of a batch into account, and each of them into the books."""
        outcomes: Counter[str] = Counter()
        # What is remembered must not decide which of two senders is shown.
        self._shown_sender = None
        for metric in batch.metrics:
            self._observe_metric(metric, batch.arrival_ns, outcomes)
        self._forget_where_full()
        own = outcomes.pop("counted", 0)
        overflowed = outcomes.pop("overflow", 0)
        conflicts = outcomes.pop("family_conflicts", 0)
        if conflicts:
            self._telemetry.family_conflicts.add(conflicts)
        accepted = self._telemetry.points_accepted
        if own:
            accepted.add(own, "counted_own")
        if overflowed:
            accepted.add(overflowed, "counted_overflow")
        for reason, count in outcomes.items():
            accepted.add(count, "filtered")
            self._filtered.add(count, reason)

    def tick(self, now_ns: int) -> None:
        """Let the series disappear that got no point for `stale_after`."""
        self._conflicts.tick(now_ns)
        if not self._store.expire(now_ns - self._settings.stale_after_ns):
            return
        self._targets = {key: one for key, one in self._targets.items() if one.live}
        for stream in self._streams.values():
            stream.series = {sent: one for sent, one in stream.series.items() if one.live}
        self._streams = {key: stream for key, stream in self._streams.items() if stream.series}
        self._keys = self._key_bytes = 0
        for stream in self._streams.values():
            self._count_key(stream.bytes)
            for sent, one in stream.series.items():
                self._count_key(_key_bytes(sent, one))
        self._senders.clear()
        self._last_sender = None
        self._spellings.keep(self._store, any_shown=len(self._store) > 0)

    def state(self) -> State:
        """The series, and what decides over points while there is no room for more.

        Keys of what was sent aren't kept: they are found anew. Nor is which conflicts the log has
        named: the next process names them again.
        """
        return {
            "form": FORM,
            "store": self._store.state(),
            "spellings": self._spellings.items(),
            "all_spelled": self._spellings.complete,
        }

    def restore(self, state: State) -> None:
        """Take a state over, under whatever limits; raises CheckpointError where it is none."""
        kept = converted(state, _KeptMetrics)
        if kept.form != FORM:
            raise CheckpointError(f"services' metrics were kept in form {kept.form}, not in {FORM}")
        self._store.restore(kept.store)
        self._targets = {
            _identity(series.labels): series for series in self._target_family.series.values()
        }
        known = [(spelling, name) for spelling, name in kept.spellings if name in self._store]
        self._spellings.take_over(known, complete=kept.all_spelled)

    def _observe_metric(self, metric: Metric, arrival_ns: int, outcomes: Counter[str]) -> None:
        key = _stream_key(metric)
        stream = self._streams.get(key)
        if stream is None and self._store.full and not self._may_be_shown(metric):
            outcomes["overflow"] += len(metric.points)
            return
        sender = self._sender(metric.resource)
        if sender is not self._shown_sender:
            self._shown_sender = sender
            self._show_target(sender, arrival_ns)
        stream = stream or _stream_of(metric, key, sender)
        if stream.family is None:
            outcomes["no_name"] += len(metric.points)
            return
        family = self._store.open(stream.family)
        if family == "overflow":
            outcomes["overflow"] += len(metric.points)
            return
        if family == "conflict":
            outcomes["conflict"] += len(metric.points)
            outcomes["family_conflicts"] += 1
            self._conflicts.note(stream.family, arrival_ns)
            return
        for point in metric.points:
            outcomes[self._observe_point(metric, stream, family, point, arrival_ns)] += 1
        self._store.close(family)

    def _observe_point(
        self,
        metric: Metric,
        stream: _Stream,
        family: PassedThroughFamily,
        point: Point,
        arrival_ns: int,
    ) -> str:
        """What became of a point."""
        if isinstance(point, ExponentialPoint) and point.scale < LOWEST_SCHEMA:
            return "scale"
        series = stream.series.get(point.attributes)
        if series is None or not series.live:
            found = self._find_series(metric, stream, family, point)
            if isinstance(found, str):
                return found
            series = found
            series.used_ns = series.used_ns or arrival_ns
        return self._store.take(series, point, arrival_ns)

    def _find_series(
        self, metric: Metric, stream: _Stream, family: PassedThroughFamily, point: Point
    ) -> PassedThroughSeries | str:
        labels = series_labels(point.attributes, stream.labels, stream.kind)
        found = self._store.series(
            family,
            labels,
            type(point),
            metric.temporality,
            stream.kind not in ("gauge", "unknown"),
        )
        if isinstance(found, PassedThroughSeries):
            if not stream.remembered:
                # One copy of the name and help text for all streams of a family.
                stream.family = family.family
                self._remember(stream, metric)
            size = _key_bytes(point.attributes, found)
            if size <= _LONGEST_KEY_BYTES:
                self._make_room_for_keys(1)
                if stream.remembered:
                    stream.series[point.attributes] = found
                    self._count_key(size)
        return found

    def _may_be_shown(self, metric: Metric) -> bool:
        """Whether a family of the metric's name may be there, found out without a claim."""
        if self._spellings.complete:
            return spelling_of(metric) in self._spellings
        translated = translated_name(metric)
        return translated is not None and translated.name in self._store

    def _sender(self, resource: Attributes) -> _Sender:
        # Those that have found no series aren't remembered, but metrics of one come together.
        if self._last_sender is not None and self._last_sender.resource == resource:
            return self._last_sender
        sender = self._senders.get(resource)
        if sender is None:
            labels = sender_labels(resource)
            sender = _Sender(resource, labels, target_labels(resource, labels))
        self._last_sender = sender
        return sender

    def _remember(self, stream: _Stream, metric: Metric) -> None:
        """Find a stream that has a series, its sender and its family's name fast from now on."""
        assert stream.family is not None, "it has a series"
        self._spellings.remember(spelling_of(metric), stream.family.name)
        sender = self._sender(metric.resource)
        scope, resource = metric.scope, _KEY_BYTES + text_bytes(metric.resource)
        texts = (scope.name, scope.version, scope.schema_url, metric.name, metric.unit)
        stream.bytes = _STREAM_BYTES + text_bytes((*texts, *scope.attributes, *metric.metadata))
        if resource + stream.bytes > _LONGEST_KEY_BYTES:
            return
        self._make_room_for_keys(2)
        if sender.resource not in self._senders:
            self._senders[sender.resource] = sender
            self._count_key(resource)
        # One copy of the resource for all of its streams.
        stream.key = (sender.resource, *stream.key[1:])
        self._streams[stream.key] = stream
        self._count_key(stream.bytes)
        stream.remembered = True

    def _make_room_for_keys(self, number: int) -> None:
        if self._keys + number > _KEYS_PER_SERIES * self._settings.max_series:
            self._forget_keys()

    def _count_key(self, size: int) -> None:
        self._keys += 1
        self._key_bytes += size

    def _forget_where_full(self) -> None:
        if self._key_bytes + self._spellings.bytes > self._store.spare_bytes:
            self._forget_keys()

    def _forget_keys(self) -> None:
        # What is remembered can be found anew: to forget all of it at times costs little.
        for stream in self._streams.values():
            stream.remembered = False
            stream.series.clear()
        self._streams.clear()
        self._senders.clear()
        self._keys = self._key_bytes = 0

    def _show_target(self, sender: _Sender, arrival_ns: int) -> None:
        """Show the attributes of a resource; of one `job` and `instance` the latest stand."""
        if sender.target is None:
            return
        identity = _identity(sender.target)
        shown = self._targets.get(identity)
        if shown is not None and shown.live and shown.labels != sender.target:
            self._store.remove(self._target_family, shown)
        series = self._store.series(self._target_family, sender.target, NumberPoint, "", False)
        if isinstance(series, PassedThroughSeries):
            series.take(NumberPoint((), 0, arrival_ns, True, 1, ()), arrival_ns)
            self._targets[identity] = series


def _identity(target: Labels) -> tuple[str, str]:
    """`job` and `instance` of a `target_info`."""
    labels = dict(zip(target.names, target.values, strict=True))
    return labels.get("job", ""), labels.get("instance", "")


def _stream_key(metric: Metric) -> _StreamKey:
    return (
        *(metric.resource, metric.scope, metric.name, metric.unit, metric.type),
        *(metric.temporality, metric.monotonic, metric.metadata),
    )


def _stream_of(metric: Metric, key: _StreamKey, sender: _Sender) -> _Stream:
    kind = family_kind(metric)
    family = None
    # A text that is longer isn't worth translating.
    if len(metric.name) + len(metric.unit) <= _LONGEST_SENT_NAME:
        translated = translated_name(metric)
        if translated is not None and len(translated.name) <= _LONGEST_NAME:
            text = metric.description[:_LONGEST_HELP]
            family = Family(translated.name, kind, text, translated.unit)
    return _Stream(key, family, {**scope_labels(metric.scope), **sender.labels}, kind)


def _key_bytes(sent: Attributes, series: PassedThroughSeries) -> int:
    """What remembering attributes takes, besides the texts that are those of the labels."""
    own = set(map(id, (*series.labels.names, *series.labels.values)))
    texts = text_bytes(text for text in sent if id(text) not in own)
    return _KEY_BYTES + _PLACE_BYTES * len(sent) + texts
