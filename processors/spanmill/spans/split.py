"""A serialised request split into smaller ones, at the borders of resources, scopes and spans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import Enclosures, find_spans

_GROWTH: Final = 8
"""How many times as large as the payload the parts together may get before splitting ends."""


@dataclass(frozen=True, slots=True)
class Part:
    """A request of its own with some of the spans.

    `items` is the number of its spans. `oversize` says that it is larger than was asked for.
    """

    payload: bytes
    items: int
    oversize: bool


def count_spans(payload: bytes) -> int:
    """How many spans a serialised request holds."""
    return len(find_spans(payload))


def split_request(payload: bytes, max_bytes: int) -> list[Part]:
    """The request in parts of at most `max_bytes`, with the spans in their order.

    It is split between ResourceSpans where that does, else between ScopeSpans, else between
    spans. What encloses the spans (resource, scope, schema URLs, unknown fields) is repeated in
    each part; spans go on byte for byte. A span that is too large by itself with what encloses
    it is a part with `oversize`, and so is a ResourceSpans or ScopeSpans without spans. Where
    repeating would make the parts together more than 8 times as large as the payload (an
    enclosure nearly as large as `max_bytes`, with many spans), the spans that are left in that
    enclosure come in one oversize part.
    """
    if len(payload) <= max_bytes:
        return [Part(payload, count_spans(payload), oversize=False)]
    return _Splitter(payload, max_bytes).parts()


@dataclass(frozen=True, slots=True)
class _Enclosure:
    """The messages around a content, outermost first: the field's tag, and its other fields."""

    levels: tuple[tuple[bytes, bytes], ...]

    def size(self, content: int) -> int:
        for tag, rest in reversed(self.levels):
            content += len(rest)
            if tag:
                content += len(tag) + len(encode_varint(content))
        return content

    def wrap(self, content: bytes) -> bytes:
        for tag, rest in reversed(self.levels):
            content = rest + content
            if tag:
                content = tag + encode_varint(len(content)) + content
        return content


class _Unit(NamedTuple):
    """A field that goes into one part whole, if it can: where it is, its spans, its row."""

    begin: int
    end: int
    items: int
    row: int


_Descend = Callable[[_Unit, _Enclosure], None]


class _Splitter:
    def __init__(self, payload: bytes, max_bytes: int) -> None:
        self._payload = payload
        self._max_bytes = max_bytes
        self._layout = find_spans(payload)
        self._parts: list[Part] = []
        self._written = 0

    def parts(self) -> list[Part]:
        resources = self._layout.resources
        first_spans = [0, *self._layout.scopes.last]
        units = [
            _Unit(
                resources.tag[row],
                resources.end[row],
                first_spans[resources.last[row]] - first_spans[_first(resources, row)],
                row,
            )
            for row in range(len(resources))
        ]
        enclosure = _Enclosure(((b"", self._rest(0, len(self._payload), units)),))
        self._pack(units, enclosure, self._split_resource)
        # Unknown fields alone can be too much, too.
        return self._parts or [Part(self._payload, 0, oversize=True)]

    def _split_resource(self, resource: _Unit, enclosure: _Enclosure) -> None:
        resources, scopes = self._layout.resources, self._layout.scopes
        units = [
            _Unit(scopes.tag[row], scopes.end[row], scopes.last[row] - _first(scopes, row), row)
            for row in range(_first(resources, resource.row), resources.last[resource.row])
        ]
        inside = self._inside(enclosure, resources, resource.row, units)
        self._pack(units, inside, self._split_scope)

    def _split_scope(self, scope: _Unit, enclosure: _Enclosure) -> None:
        scopes, layout = self._layout.scopes, self._layout
        units = [
            _Unit(layout.span_tag[row], layout.span_end[row], 1, row)
            for row in range(_first(scopes, scope.row), scopes.last[scope.row])
        ]
        self._pack(units, self._inside(enclosure, scopes, scope.row, units), None)

    def _inside(
        self, enclosure: _Enclosure, level: Enclosures, row: int, units: Iterable[_Unit]
    ) -> _Enclosure:
        tag = self._payload[level.tag[row] : level.length[row]]
        rest = self._rest(level.begin[row], level.end[row], units)
        return _Enclosure((*enclosure.levels, (tag, rest)))

    def _rest(self, begin: int, end: int, units: Iterable[_Unit]) -> bytes:
        """What a message holds beside these fields."""
        pieces = []
        for unit in units:
            pieces.append(self._payload[begin : unit.begin])
            begin = unit.end
        pieces.append(self._payload[begin:end])
        return b"".join(pieces)

    def _pack(
        self, units: Iterable[_Unit], enclosure: _Enclosure, descend: _Descend | None
    ) -> None:
        """Fill parts with units in their order; one that is too large is split by `descend`."""
        waiting: list[_Unit] = []
        waiting_size = 0
        for unit in units:
            size = unit.end - unit.begin
            grown = self._written > _GROWTH * len(self._payload)
            if grown or enclosure.size(waiting_size + size) <= self._max_bytes:
                waiting.append(unit)
                waiting_size += size
                continue
            self._emit(waiting, enclosure)
            waiting, waiting_size = [unit], size
            if enclosure.size(size) <= self._max_bytes:
                continue
            if descend is not None and unit.items:
                descend(unit, enclosure)
            else:
                self._emit(waiting, enclosure)
            waiting, waiting_size = [], 0
        self._emit(waiting, enclosure)

    def _emit(self, units: Sequence[_Unit], enclosure: _Enclosure) -> None:
        if not units:
            return
        content = b"".join(self._payload[unit.begin : unit.end] for unit in units)
        part = enclosure.wrap(content)
        self._written += len(part)
        items = sum(unit.items for unit in units)
        self._parts.append(Part(part, items, oversize=len(part) > self._max_bytes))


def _first(level: Enclosures, row: int) -> int:
    """The first row of the level below that belongs to this row."""
    return level.last[row - 1] if row else 0
