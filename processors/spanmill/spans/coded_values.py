"""The distinct values of a coded column, made from the bytes only where they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope

from spanmill.spans.attribute_values import attribute_value
from spanmill.spans.batch import AttributeValue, Scope

T = TypeVar("T")


class CodedValues(Sequence[T]):
    """Values by their code, each read once from its place in the bytes.

    `places` holds two 32-bit numbers a value: where its bytes stand in `body`, and how many.
    Keeps `body` as long as it lives. Threads may read it at once: then a value may be made
    twice, equal both times.
    """

    __slots__ = ("_body", "_count", "_places", "_read")

    def __init__(self, body: bytes, places: memoryview) -> None:
        self._body = body
        self._places = places
        self._count = len(places) // 2
        self._read: dict[int, T] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[code] for code in range(*index.indices(self._count))]
        if index in self._read:
            return self._read[index]
        code = index + self._count if index < 0 else index
        if not 0 <= code < self._count:
            raise IndexError(f"no value {index} among {self._count}")
        value = self._read[index] = self.read(self.raw(code))
        return value

    def __iter__(self) -> Iterator[T]:
        for code in range(self._count):
            yield self[code]

    def raw(self, code: int) -> bytes:
        """The bytes of a value, as received."""
        begin = self._places[2 * code]
        return self._body[begin : begin + self._places[2 * code + 1]]

    @abstractmethod
    def read(self, content: bytes) -> T:
        """The value that these bytes say."""


class Texts(CodedValues[str]):
    """Strings in UTF-8."""

    def read(self, content: bytes) -> str:
        """Valid, as the decoder has seen."""
        return content.decode()


class AnyValues(CodedValues[AttributeValue]):
    """Serialised `AnyValue`s."""

    def read(self, content: bytes) -> AttributeValue:
        """The Python value."""
        return attribute_value(AnyValue.FromString(content))


class Scopes(CodedValues[Scope]):
    """Serialised `InstrumentationScope`s."""

    def read(self, content: bytes) -> Scope:
        """Its name and version."""
        scope = InstrumentationScope.FromString(content)
        return Scope(scope.name, scope.version)
