"""Names of services and peers as small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

NO_NAME: Final = -1

_FEW: Final = 1024


class Names:
    """A code for each name in use.

    Whoever holds codes gives those in use to `keep` when `crowded` says so: then at most
    max(1024, twice the codes in use) names of at most 1,024 characters are held.
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self._crowded_at = _FEW

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, code: int) -> str:
        return self._names[code]

    def code(self, name: str) -> int:
        """The code of a name, new or known."""
        code = self._codes.setdefault(name, len(self._names))
        if code == len(self._names):
            self._names.append(name)
        return code

    @property
    def crowded(self) -> bool:
        """Whether names may have piled up that nobody uses any more."""
        return len(self._names) >= self._crowded_at

    def all(self) -> list[str]:
        """A copy of all names, by their codes."""
        return list(self._names)

    def restore(self, names: Sequence[str]) -> None:
        """Know these names by these codes instead of any others; none comes twice."""
        self._names = list(names)
        self._codes = {name: code for code, name in enumerate(names)}

    def keep(self, used: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Forget all names but the used ones, bool (names,); returns the new code by the old one.

        NO_NAME, the last element by Python's indexing, stays NO_NAME.
        """
        renamed = np.full(len(self._names) + 1, NO_NAME, np.int32)
        kept = np.flatnonzero(used)
        renamed[kept] = np.arange(len(kept))
        self._names = [self._names[code] for code in kept.tolist()]
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._crowded_at = max(_FEW, 2 * len(kept))
        return renamed
