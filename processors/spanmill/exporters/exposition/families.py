"""The snapshots of one family together, so that its metadata comes once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from spanmill.series.snapshot import Family, FamilySnapshot


def by_family(
    snapshots: Iterable[FamilySnapshot],
) -> Iterator[tuple[Family, Iterator[FamilySnapshot]]]:
    """Each family with its snapshots, which follow each other; none is taken before its turn."""
    for _, group in groupby(snapshots, _name):
        first = next(group)
        rest = chain((first,), group)  # noqa: B031 - what is left of it after the first
        yield first.family, rest


def _name(snapshot: FamilySnapshot) -> str:
    return snapshot.family.name
