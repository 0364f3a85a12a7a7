"""The values that a key can take: sizes, durations, addresses, paths, counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from spanmill.config.durations import (
    DURATION_PATTERN,
    NANOSECONDS_A_SECOND,
    format_duration,
    parse_duration,
    unit_missing,
)
from spanmill.config.endpoints import LISTEN_PATTERN, ListenAddress, parse_listen, shorten
from spanmill.config.sizes import SIZE_PATTERN, format_size, parse_size

FROM_FILE: Final = MappingProxyType({"from_file": True})
"""The validation context of a file: there a bare number is no duration.

In code a number of seconds (or of nanoseconds, for bounds) says its unit by its type.
"""

CONFLICT: Final = "conflict"
"""The type of errors about keys that don't go together."""

MAX_MESSAGE_BYTES: Final = 2**31 - 1

_DESTINATION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def conflict(message: str, key: str, *involved: str) -> PydanticCustomError:
    """The error of keys that don't go together, told at `key`.

    Keys are dotted paths from the model that raises it. The error is worth telling only where
    neither `key` nor one of `involved` is wrong by itself.
    """
    return PydanticCustomError(
        CONFLICT, "{message}", {"message": message, "key": key, "involved": (key, *involved)}
    )


def _nanoseconds(value: object, info: ValidationInfo) -> object:
    return _from_text(value) if isinstance(value, str) else _only_in_code(value, info)


def _seconds(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        return _from_text(value) / NANOSECONDS_A_SECOND
    return _only_in_code(value, info)


def _from_text(text: str) -> int:
    nanoseconds = parse_duration(text)
    if nanoseconds == 0:
        raise ValueError(f"must be longer than 0; given {shorten(text)}")
    return nanoseconds


def _only_in_code(value: object, info: ValidationInfo) -> object:
    if info.context is FROM_FILE:
        raise ValueError(_not_a_duration(value))
    return value


def _not_a_duration(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return unit_missing(value)
    return f"must be a duration such as 15m; given {describe(value)}"


def _bytes(value: object) -> object:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a size such as 64MiB; given {describe(value)}")
    return value


def _message_bytes(size: int) -> int:
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"must be below 2GiB, which no message can have; given {size} bytes")
    return size


def _listen(value: object) -> object:
    if isinstance(value, ListenAddress):
        return value
    if not isinstance(value, str):
        raise ValueError(f"must be host:port, such as 127.0.0.1:4317; given {describe(value)}")
    return parse_listen(value)


def _destination_name(name: str) -> str:
    if _DESTINATION_NAME.fullmatch(name) is None:
        raise ValueError(
            "a destination's name is 1 to 63 letters, digits and _ . -, "
            "and begins with a letter or digit"
        )
    return name


def _path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"must be a path; given {describe(value)}")
    return value


def none_is_empty(value: object) -> object:
    """A section or mapping with nothing under it is an empty one."""
    return {} if value is None else value


def describe(value: object) -> str:
    """A value from a file as an error shows it; what is nested is only named."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return shorten(value)
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return shorten(str(value)).strip("'")


_DURATION_SCHEMA: Final[dict[str, Any]] = {
    "title": "duration",
    "type": "string",
    "pattern": DURATION_PATTERN,
}

Seconds = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(_seconds),
    PlainSerializer(
        lambda seconds: format_duration(round(seconds * NANOSECONDS_A_SECOND)), when_used="json"
    ),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration above 0, in seconds."""

Nanoseconds = Annotated[
    int,
    Strict(),
    Field(gt=0),
    BeforeValidator(_nanoseconds),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration above 0, in exact nanoseconds."""

Bytes = Annotated[
    int,
    Field(ge=1),
    BeforeValidator(_bytes),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema(
        {"title": "size", "type": ["string", "integer"], "pattern": SIZE_PATTERN, "minimum": 1}
    ),
]
"""A size of at least one byte."""

MessageBytes = Annotated[Bytes, AfterValidator(_message_bytes)]
"""A size that one message can have: gRPC counts its bytes in 31 bits."""

Listen = Annotated[
    ListenAddress,
    BeforeValidator(_listen),
    PlainSerializer(str, when_used="json"),
    WithJsonSchema({"title": "host:port", "type": "string", "pattern": LISTEN_PATTERN}),
]
"""Where a server listens; port 0 takes any free one."""

FilePath = Annotated[
    Path,
    BeforeValidator(_path),
    PlainSerializer(
        lambda path: str(path) if path.is_absolute() else f"./{path}", when_used="json"
    ),
    WithJsonSchema({"title": "path", "type": "string", "minLength": 1}),
]
"""A file or folder, from the working directory; nothing is looked up."""

Count = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
"""A whole number of at least 1."""

Flag = StrictBool

DestinationName = Annotated[str, AfterValidator(_destination_name)]
"""The name of a destination: a label value, and later a folder's name."""
