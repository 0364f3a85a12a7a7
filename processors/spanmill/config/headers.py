"""Headers that go with every request to a destination; no error shows their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr

from spanmill.config.value_types import none_is_empty

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRPC_NAME: Final = re.compile(r"[0-9A-Za-z_.-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_OWN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
    }
)


def _header_name(name: str) -> str:
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("is no valid header name")
    if name.lower() in _OWN_HEADERS or name.lower().startswith("grpc-"):
        raise ValueError("is a header that the protocol sets itself: leave it out")
    return name


def not_for_grpc(names: Iterable[str]) -> list[str]:
    """The header names that gRPC's metadata can't have (or would take for binary values)."""
    return [name for name in names if not _GRPC_NAME.fullmatch(name) or name.endswith("-bin")]


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if "\n" in text or "\r" in text:
        raise ValueError("has a line break in it (the value is not shown)")
    if _HEADER_VALUE.fullmatch(text) is None:
        raise ValueError("has characters that no header can carry (the value is not shown)")
    return value


def _one_case(headers: Mapping[str, HeaderValue]) -> Mapping[str, HeaderValue]:
    """HTTP compares header names without case."""
    names: dict[str, str] = {}
    for name in headers:
        first = names.setdefault(name.lower(), name)
        if first != name:
            raise ValueError(f"{first!r} and {name!r} are one header")
    return headers


HeaderName = Annotated[str, AfterValidator(_header_name)]

HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
"""A header's value, which no log line and no error shows."""

Headers = Annotated[
    Mapping[HeaderName, HeaderValue],
    BeforeValidator(none_is_empty),
    AfterValidator(_one_case),
]
"""Values by name; the names differ by more than case."""
