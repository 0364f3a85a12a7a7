"""Who may send and who may scrape; no error, log line or printed configuration shows a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from spanmill.config.section import Section
from spanmill.config.value_types import FilePath, conflict, none_is_empty

MAX_TOKEN_CHARACTERS: Final = 4096

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_CLIENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}")


def check_token(text: str) -> None:
    """Refuse what no client could send as a bearer token; ValueError never repeats it."""
    if not text:
        raise ValueError("is empty: write a token, such as `openssl rand -hex 32` makes")
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise ValueError(f"is longer than {MAX_TOKEN_CHARACTERS} characters (it is not shown)")
    if _TOKEN.fullmatch(text) is None:
        raise ValueError(
            "has a space, a line break or a character that no header can carry (it is not shown)"
        )


def _token(value: SecretStr) -> SecretStr:
    check_token(value.get_secret_value())
    return value


def _client_name(name: str) -> str:
    if _CLIENT_NAME.fullmatch(name) is None:
        raise ValueError(
            "a client's name is 1 to 63 letters, digits and _ . @ -, "
            "and begins with a letter or digit"
        )
    return name


def _user_name(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError(
            "a user name has at least one character, and no colon or control character"
        )
    return name


def _password(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("is empty: write a password, or leave the user name out as well")
    return value


ClientName = Annotated[str, AfterValidator(_client_name)]
"""The name that a token gives its client."""

Token = Annotated[SecretStr, AfterValidator(_token)]
"""A bearer token: 1 to 4096 visible ASCII characters."""


class OtlpAuthConfig(Section):
    """Bearer tokens for OTLP, on both transports; the name of a token is its client's identity."""

    tokens: Annotated[Mapping[ClientName, Token], BeforeValidator(none_is_empty)] = Field(
        default_factory=dict,
        description="A token for each client, by the client's name; never shown.",
    )
    token_files: Annotated[Mapping[ClientName, FilePath], BeforeValidator(none_is_empty)] = Field(
        default_factory=dict,
        description="Files with a token on each line, any of which is good, by the client's name; "
        "read again when they change.",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        both = sorted(self.tokens.keys() & self.token_files.keys())
        if both:
            raise conflict(
                f"{both[0]!r} is in tokens and in token_files: one client has one of them",
                "tokens",
                "token_files",
            )
        return self


class ScrapeAuthConfig(Section):
    """Who may read /metrics and /series: who has the token, or the user name and the password."""

    token: Token | None = Field(
        default=None,
        description="A bearer token; by default the environment variable METRICS_AUTH_TOKEN. "
        "Never shown.",
    )
    token_file: FilePath | None = Field(
        default=None,
        description="A file with a token on each line, any of which is good; read again when it "
        "changes.",
    )
    username: Annotated[str, AfterValidator(_user_name)] | None = Field(
        default=None, description="The user name of basic authentication."
    )
    password: Annotated[SecretStr, AfterValidator(_password)] | None = Field(
        default=None, description="The password that goes with `username`; never shown."
    )
    password_file: FilePath | None = Field(
        default=None,
        description="A file with that password on its first line; read again when it changes.",
    )

    @property
    def is_on(self) -> bool:
        """Whether anything is asked for."""
        return any(each is not None for each in (self.token, self.token_file, self.username))

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise conflict("stands beside token_file: write one of them", "token", "token_file")
        return self

    @model_validator(mode="after")
    def _user_and_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise conflict(
                "stands beside password_file: write one of them", "password", "password_file"
            )
        has_password = self.password is not None or self.password_file is not None
        if self.username is not None and not has_password:
            raise conflict("needs password or password_file beside it", "username", "password")
        if has_password and self.username is None:
            key = "password" if self.password is not None else "password_file"
            raise conflict("needs username beside it", key, "username")
        return self
