"""A serialised request split into smaller ones, at the borders of resources, scopes and items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanmill.spans.splice import encode_varint
from spanmill.spans.wire import Enclosures, Layout, find_spans

_GROWTH: Final = 8
"""How many times as large as the payload the parts together may get before splitting ends."""


@dataclass(frozen=True, slots=True)
class Part:
    """A request of its own with some of the items.

    `items` is the number of its spans or metric points. `oversize` says that it is larger than
    was asked for.
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
    layout = find_spans(payload)
    return Splitter(payload, max_bytes, layout, range(len(layout) + 1)).parts()


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The messages around a content, outermost first: the field's tag, and its other fields."""

    levels: tuple[tuple[bytes, bytes], ...]

    def inside(self, tag: bytes, rest: bytes) -> Enclosure:
        """The same with one more message, the innermost."""
        return Enclosure((*self.levels, (tag, rest)))

    def size(self, content: int) -> int:
        """How many bytes a content of this size and what encloses it are."""
        for tag, rest in reversed(self.levels):
            content += len(rest)
            if tag:
                content += len(tag) + len(encode_varint(content))
        return content

    def wrap(self, content: bytes) -> bytes:
        """The content in what encloses it: a request."""
        for tag, rest in reversed(self.levels):
            content = rest + content
            if tag:
                content = tag + encode_varint(len(content)) + content
        return content


class Unit(NamedTuple):
    """A field that goes into one part whole, if it can: where it is, its items, its row."""

    begin: int
    end: int
    items: int
    row: int


Descend = Callable[[Unit, Enclosure], None]


class Splitter:
    """Splits one request.

    `items_before` has an element for each row of the layout and one more: how many items stand
    before it. `split_leaf` splits what is a row of the layout and more than one item.
    """

    split_leaf: Descend | None = None

    def __init__(
        self, payload: bytes, max_bytes: int, layout: Layout, items_before: Sequence[int]
    ) -> None:
        self._payload = payload
        self._max_bytes = max_bytes
        self._layout = layout
        self._items_before = items_before
        self._parts: list[Part] = []
        self._written = 0

    def parts(self) -> list[Part]:
        """The request in parts."""
        resources = self._layout.resources
        first_rows = [0, *self._layout.scopes.last]
        units = [
            Unit(
                resources.tag[row],
                resources.end[row],
                self._items(first_rows[_first(resources, row)], first_rows[resources.last[row]]),
                row,
            )
            for row in range(len(resources))
        ]
        enclosure = Enclosure(((b"", self.rest(0, len(self._payload), units)),))
        self.pack(units, enclosure, self._split_resource)
        # Unknown fields alone can be too much, too.
        return self._parts or [Part(self._payload, 0, oversize=True)]

    def _split_resource(self, resource: Unit, enclosure: Enclosure) -> None:
        resources, scopes = self._layout.resources, self._layout.scopes
        units = [
            Unit(
                scopes.tag[row],
                scopes.end[row],
                self._items(_first(scopes, row), scopes.last[row]),
                row,
            )
            for row in range(_first(resources, resource.row), resources.last[resource.row])
        ]
        inside = self._inside(enclosure, resources, resource.row, units)
        self.pack(units, inside, self._split_scope)

    def _split_scope(self, scope: Unit, enclosure: Enclosure) -> None:
        scopes, layout = self._layout.scopes, self._layout
        units = [
            Unit(layout.span_tag[row], layout.span_end[row], self._items(row, row + 1), row)
            for row in range(_first(scopes, scope.row), scopes.last[scope.row])
        ]
        self.pack(units, self._inside(enclosure, scopes, scope.row, units), self.split_leaf)

    def _inside(
        self, enclosure: Enclosure, level: Enclosures, row: int, units: Iterable[Unit]
    ) -> Enclosure:
        tag = self._payload[level.tag[row] : level.length[row]]
        return enclosure.inside(tag, self.rest(level.begin[row], level.end[row], units))

    def _items(self, first: int, last: int) -> int:
        """How many items the rows of the layout from `first` to before `last` hold."""
        return self._items_before[last] - self._items_before[first]

    def rest(self, begin: int, end: int, units: Iterable[Unit]) -> bytes:
        """What a message holds beside these fields."""
        pieces = []
        for unit in units:
            pieces.append(self._payload[begin : unit.begin])
            begin = unit.end
        pieces.append(self._payload[begin:end])
        return b"".join(pieces)

    def pack(self, units: Iterable[Unit], enclosure: Enclosure, descend: Descend | None) -> None:
        """Fill parts with units in their order; one that is too large is split by `descend`."""
        waiting: list[Unit] = []
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

    def _emit(self, units: Sequence[Unit], enclosure: Enclosure) -> None:
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
