"""Reads a kept state that may be damaged, or be another version's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from spanmill.errors import CheckpointError

Scalar = TypeVar("Scalar", bound=np.generic)
Value = TypeVar("Value", bool, int, float, str)

VERSION: Final = "version"


class StateReader:
    """The values of a mapping by name; what is missing or of another kind is a CheckpointError.

    `what` names the part in the error. Nothing is copied that needn't be.
    """

    def __init__(self, what: str, state: object) -> None:
        if not isinstance(state, Mapping):
            raise CheckpointError(f"the kept state of {what} is damaged: it is no mapping")
        self.what: Final = what
        self._state: Final[Mapping[str, Any]] = state

    def error(self, why: str) -> CheckpointError:
        """An error that names the part."""
        return CheckpointError(f"the kept state of {self.what} can't be taken over: {why}")

    def version(self, known: int) -> None:
        """Raise unless this form of the state is the one that is known."""
        found = self.integer(VERSION)
        if found != known:
            raise self.error(f"it has form {found}, and this spanmill reads form {known}")

    def same(self, name: str, own: object, words: str) -> None:
        """Raise unless the value is what this process has."""
        if not self.has(name, own):
            found = _shown(self.value(name))
            raise self.error(f"it has {words} {found}, and here they are {_shown(own)}")

    def has(self, name: str, own: object) -> bool:
        """Whether the value is what this process has: anything but an array."""
        return _plain(self.value(name)) == _plain(own)

    def value(self, name: str) -> Any:
        """Any value, made now where it was left for later."""
        if name not in self._state:
            raise self.error(f"{name} is missing")
        value = self._state[name]
        return value() if callable(value) else value

    def names(self) -> list[str]:
        """The names of all values."""
        return list(self._state)

    def array(
        self, name: str, kind: type[Scalar], shape: tuple[int | None, ...]
    ) -> npt.NDArray[Scalar]:
        """An array of this type and shape; None stands for any length."""
        value = self.value(name)
        if not isinstance(value, np.ndarray) or value.dtype != np.dtype(kind):
            raise self.error(f"{name} is no array of {np.dtype(kind).name}")
        if len(value.shape) != len(shape) or any(
            wanted not in (None, found) for wanted, found in zip(shape, value.shape, strict=True)
        ):
            raise self.error(f"{name} has the shape {value.shape}, not {shape}")
        return value

    def rows(self, name: str, end: int) -> npt.NDArray[np.int64]:
        """Ascending numbers from 0 to end - 1, none of them twice: int64 (n,)."""
        rows = self.array(name, np.int32, (None,)).astype(np.int64)
        if len(rows) and (rows[0] < 0 or rows[-1] >= end or (np.diff(rows) <= 0).any()):
            raise self.error(f"{name} are not rows below {end}, in order")
        return rows

    def others(
        self, name: str, taken: npt.NDArray[np.int64], begin: int, end: int
    ) -> npt.NDArray[np.int32]:
        """The numbers from `begin` to end - 1 that aren't `taken`, in any order, each once."""
        numbers = self.array(name, np.int32, (end - begin - len(taken),))
        known = np.zeros(end, np.bool_)
        known[taken] = True
        if len(numbers) and not begin <= int(numbers.min()) <= int(numbers.max()) < end:
            raise self.error(f"{name} are not below {end}")
        known[numbers] = True
        if not known[begin:].all():
            raise self.error(f"{name} are not those that are left")
        return numbers

    def integer(self, name: str, least: int = 0) -> int:
        """A whole number."""
        value = self._of(name, int)
        if value < least:
            raise self.error(f"{name} is {value}")
        return value

    def number(self, name: str) -> float:
        """A number."""
        return self._of(name, float)

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._of(name, bool)

    def text(self, name: str) -> str:
        """A text."""
        return self._of(name, str)

    def texts(self, name: str) -> list[str]:
        """Texts."""
        values = self.values(name)
        if any(type(value) is not str for value in values):
            raise self.error(f"{name} are no texts")
        return values

    def values(self, name: str) -> list[Any]:
        """A list of anything."""
        value = self.value(name)
        if not isinstance(value, list | tuple):
            raise self.error(f"{name} is no list")
        return list(value)

    def part(self, name: str) -> StateReader:
        """A mapping in the mapping."""
        return StateReader(self.what, self.value(name))

    def parts(self, name: str) -> list[StateReader]:
        """A list of mappings."""
        return [StateReader(self.what, value) for value in self.values(name)]

    def optional_part(self, name: str) -> StateReader | None:
        """The same, where it isn't None."""
        return None if self.value(name) is None else self.part(name)

    def _of(self, name: str, kind: type[Value]) -> Value:
        value = self.value(name)
        if type(value) is not kind:
            raise self.error(f"{name} is no {kind.__name__}")
        return value


def _plain(value: object) -> object:
    """Tuples come back as lists; an array, which no setting is, equals nothing."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    return object() if isinstance(value, np.ndarray) else value


def _shown(value: object) -> str:
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return ", ".join(value)
    return str(value)
