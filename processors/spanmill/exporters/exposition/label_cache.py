"""What was made of labels, kept while one exposition lasts."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

MAX_BYTES: Final = 16 * 1024 * 1024
_ENTRY_BYTES: Final = 150
"""Of a dictionary's entry and the object's own head."""

K = TypeVar("K")
V = TypeVar("V", str, bytes)


class LabelCache(Generic[K, V]):
    """Keys and what was made of them, until they take 16 MiB: further ones are made each time.

    Label sets that several families share are there 40,000 times over; a service's metrics may
    have as many labels of 1,024 characters, which nothing shares.
    """

    def __init__(self) -> None:
        self._known: dict[K, V] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: K) -> V | None:
        """What was made of a key, if it was kept."""
        return self._known.get(key)

    def add(self, key: K, value: V) -> V:
        """Keep a value if there is room; returns it."""
        if self._bytes < MAX_BYTES:
            self._bytes += _ENTRY_BYTES + len(value)
            self._known[key] = value
        return value
