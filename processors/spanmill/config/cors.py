"""Which web pages may send OTLP from a browser."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from spanmill.config.endpoints import shorten
from spanmill.config.section import Section
from spanmill.config.value_types import Flag, Seconds, conflict

ANY_ORIGIN: Final = "*"

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?"
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def _origin(text: str) -> str:
    """As a browser writes it: in small letters, without the scheme's own port."""
    if text == ANY_ORIGIN:
        return text
    parts = _ORIGIN.fullmatch(text.lower())
    if parts is None:
        raise ValueError(
            f"{shorten(text)} is no origin: scheme://host[:port] without a path, such as "
            "https://shop.example.com, https://*.example.com or http://localhost:3000"
        )
    if parts["port"] is not None and parts["port"] == _DEFAULT_PORTS.get(parts["scheme"]):
        return f"{parts['scheme']}://{parts['host']}"
    return parts[0]


def _header_name(text: str) -> str:
    if _HEADER_NAME.fullmatch(text.lower()) is None or text == "*":
        raise ValueError(f"{shorten(text)} is no valid header name")
    return text.lower()


class CorsConfig(Section):
    """Cross-origin requests of browsers (CORS), or null."""

    allowed_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], Field(min_length=1)
    ] = Field(
        description="The pages that may send: `https://shop.example.com`, every host below a name "
        "with `https://*.example.com`, or `*` for any."
    )
    allowed_headers: tuple[Annotated[str, AfterValidator(_header_name)], ...] = Field(
        default=(),
        description="Headers that they may set beside content-type, content-encoding and "
        "authorization.",
    )
    max_age: Seconds = Field(
        default=7200.0, description="How long a browser may remember what it was allowed."
    )
    allow_credentials: Flag = Field(
        default=False, description="Let browsers send cookies and client certificates along."
    )

    @model_validator(mode="after")
    def _credentials_have_origins(self) -> Self:
        if self.allow_credentials and ANY_ORIGIN in self.allowed_origins:
            raise conflict(
                "goes with a list of origins, not with '*'", "allow_credentials", "allowed_origins"
            )
        return self
