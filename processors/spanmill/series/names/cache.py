"""Labels of names that were seen lately."""

from __future__ import annotations

import sys
from typing import Final

MAX_NAMES: Final = 8192
MAX_BYTES: Final = 4 * 1024 * 1024
_ENTRY_BYTES: Final = 104
"""A dictionary's own bytes for an entry, with the room that it keeps free."""


class LabelCache:
    """Names and their labels in two generations.

    New ones go to the young generation; when that has `max_names` or `max_bytes`, it becomes the
    old one and what was old goes. A name that is asked for while it is old is young again. So a
    flood of names that never come back takes nothing from those that do. At most
    2 times `max_names` entries and 2 times `max_bytes` bytes are held (and one entry more).
    """

    def __init__(self, max_names: int = MAX_NAMES, max_bytes: int = MAX_BYTES) -> None:
        self._max_names = max_names
        self._max_bytes = max_bytes
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def get(self, name: str) -> str | None:
        """The label of a name, or None where it is not known."""
        label = self._young.get(name)
        if label is None:
            label = self._old.get(name)
            if label is not None:
                self.add(name, label)
        return label

    def add(self, name: str, label: str) -> None:
        """Remember a label."""
        if len(self._young) >= self._max_names or self._bytes >= self._max_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[name] = label
        self._bytes += _ENTRY_BYTES + sys.getsizeof(name)
        if label is not name:
            self._bytes += sys.getsizeof(label)
