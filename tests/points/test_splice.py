"""Points are cut out of the bytes, and nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from points.otlp_metrics import number
from spanmill.points.splice import cut_points
from spans.generated import field, varint

POINT = number(1).SerializeToString()


@dataclass(frozen=True)
class Point:
    """A data point's field, and whether it is to be cut."""

    field: bytes
    cut: bool


Tree = tuple[int, list["Tree | Point | bytes"]]
"""A field's number and what stands in it."""

UNKNOWN = st.sampled_from([b"", field(999, b"x"), varint(998 << 3) + b"\x05"])
POINTS = st.builds(
    lambda size, padding, cut: Point(
        varint(1 << 3 | 2, padding) + varint(len(POINT) + size) + POINT + b"\x40\x00" * (size // 2),
        cut,
    ),
    st.sampled_from([0, 100, 200]),
    st.integers(0, 2),
    st.booleans(),
)


def tree(
    numbers: st.SearchStrategy[int], inside: st.SearchStrategy[object]
) -> st.SearchStrategy[Tree]:
    return st.tuples(numbers, st.lists(st.one_of(inside, UNKNOWN), max_size=4))


REQUESTS = st.lists(
    tree(
        st.just(1),
        tree(
            st.just(2),
            tree(st.just(2), tree(st.sampled_from([5, 7, 9]), POINTS)),
        ),
    ),
    max_size=3,
)


def rendered(node: Tree | Point | bytes, *, cut: bool) -> bytes:
    if isinstance(node, bytes):
        return node
    if isinstance(node, Point):
        return b"" if cut and node.cut else node.field
    number_, inside = node
    return field(number_, b"".join(rendered(piece, cut=cut) for piece in inside))


def effective_points(node: Tree | Point | bytes, level: int = 0) -> list[Point]:
    """The points that the library reads; those of a metric's earlier kinds of data don't count."""
    if isinstance(node, bytes | Point):
        return [node] if isinstance(node, Point) else []
    pieces = [piece for piece in node[1] if not isinstance(piece, bytes)]
    if level == 2:
        kinds = [piece[0] for piece in pieces if isinstance(piece, tuple)]
        while kinds and any(kind != kinds[-1] for kind in kinds):
            kinds.pop(0)
            pieces.pop(0)
    return [point for piece in pieces for point in effective_points(piece, level + 1)]


@given(REQUESTS)
def test_only_the_points_to_cut_are_missing(trees: list[Tree]) -> None:
    points = [point for node in trees for point in effective_points(node)]
    kept = {id(point) for point in points}
    # Points that the library doesn't read aren't counted, so they can't be cut.
    trees = [without_other_cuts(node, kept) for node in trees]
    body = b"".join(rendered(node, cut=False) for node in trees)
    ExportMetricsServiceRequest.FromString(body)
    cut = [at for at, point in enumerate(points) if point.cut]
    assert cut_points(body, cut) == b"".join(rendered(node, cut=True) for node in trees)


def without_other_cuts(node: Tree, kept: set[int]) -> Tree:
    inside: list[Tree | Point | bytes] = []
    for piece in node[1]:
        if isinstance(piece, Point):
            inside.append(Point(piece.field, piece.cut and id(piece) in kept))
        else:
            inside.append(piece if isinstance(piece, bytes) else without_other_cuts(piece, kept))
    return node[0], inside


def test_with_nothing_to_cut_the_body_is_the_same_object() -> None:
    body = field(1, b"")
    assert cut_points(body, []) is body
