"""Whether a decoder's groups are those that its own columns, compared by value, fall into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.spans.batch import Groups, SpanBatch
from spans.fuzz.difference import values_of

_REMEMBERED: Final = 200_000

Key = tuple[str, str, int, int, tuple[str, ...]]
"""Resource, name, kind, status and attributes of a group, in words."""


class Grouping:
    """Checks the groups of one decoder's batches, and its identities over all of them.

    Remembers at most 200,000 identities, then begins anew.
    """

    def __init__(self, group_by: Sequence[str]) -> None:
        self._group_by = tuple(group_by)
        self._keys: dict[bytes, Key] = {}

    def difference(self, batch: SpanBatch) -> str | None:
        """What is wrong with the groups of this batch, in one line."""
        groups = batch.groups
        if groups is None:
            return None
        if groups.attributes != self._group_by:
            return f"groups by {groups.attributes}, not by {self._group_by}"
        if groups.codes.dtype != "int32" or groups.codes.shape != (len(batch),):
            return f"group codes are {groups.codes.dtype}{list(groups.codes.shape)}"
        keys = self._keys_of(batch)
        return (
            _misnumbered(groups)
            or _joined(groups, keys)
            or self._split(batch, groups)
            or self._misidentified(groups, keys)
        )

    def _keys_of(self, batch: SpanBatch) -> list[Key]:
        attributes = [values_of(batch.attributes[key]) for key in self._group_by]
        return list(
            zip(
                values_of(batch.resource),
                values_of(batch.name),
                batch.kind.tolist(),
                batch.status.tolist(),
                list(zip(*attributes, strict=True)) if attributes else [()] * len(batch),
                strict=True,
            )
        )

    def _split(self, batch: SpanBatch, groups: Groups) -> str | None:
        """Groups that agree in all their codes, and are two nevertheless."""
        columns: list[npt.NDArray[np.generic]]
        columns = [batch.resource.codes, batch.name.codes, batch.kind, batch.status]
        columns += [batch.attributes[key].codes for key in self._group_by]
        found: dict[tuple[int, ...], int] = {}
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for code, agreed in zip(groups.codes.tolist(), rows, strict=True):
            if found.setdefault(agreed, code) != code:
                return f"groups {found[agreed]} and {code} are both of {agreed}"
        return None

    def _misidentified(self, groups: Groups, keys: Sequence[Key]) -> str | None:
        """An identity that stood for something else in this batch or another."""
        identities = groups.identities
        if identities is None:
            return None
        if identities.dtype != "uint64" or identities.shape != (len(groups), 2):
            return f"identities are {identities.dtype}{list(identities.shape)}"
        if len(self._keys) > _REMEMBERED:
            self._keys.clear()
        for row, identity in zip(groups.first.tolist(), identities, strict=True):
            known = self._keys.setdefault(identity.tobytes(), keys[row])
            if known != keys[row]:
                return f"one identity for {known} and {keys[row]}"
        return None


def _misnumbered(groups: Groups) -> str | None:
    """Groups are numbered by their first row; first rows and counts agree with the codes."""
    codes = groups.codes.tolist()
    first: dict[int, int] = {}
    counts: dict[int, int] = {}
    for row, code in enumerate(codes):
        first.setdefault(code, row)
        counts[code] = counts.get(code, 0) + 1
    if list(first) != list(range(len(groups))) or list(first.values()) != groups.first.tolist():
        return f"group codes {codes} with first rows {groups.first.tolist()}"
    if list(counts.values()) != groups.counts.tolist():
        return f"group codes {codes} with counts {groups.counts.tolist()}"
    return None


def _joined(groups: Groups, keys: Sequence[Key]) -> str | None:
    """A group of rows that differ."""
    known: dict[int, Key] = {}
    for code, key in zip(groups.codes.tolist(), keys, strict=True):
        if known.setdefault(code, key) != key:
            return f"group {code} has rows of {known[code]} and of {key}"
    return None
