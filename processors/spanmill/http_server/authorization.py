"""The Authorization header: bearer tokens and basic authentication (RFC 6750, RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from spanmill.clock import Clock
from spanmill.config.auth import check_token
from spanmill.errors import StartError, UnauthenticatedError
from spanmill.http_server.reloading import Contents, Reloading

_REALM: Final = b'realm="spanmill"'
BEARER_CHALLENGE: Final = b"Bearer " + _REALM
BASIC_CHALLENGE: Final = b"Basic " + _REALM + b', charset="UTF-8"'


class Secrets:
    """Which name belongs to a secret; keeps SHA-256 digests and no secret.

    Looking one up compares the digest of what a client shows with every digest, in constant
    time: neither the length of a secret nor how much of one was right can be told from the time.
    """

    def __init__(
        self,
        known: Mapping[str, bytes],
        files: Mapping[str, Reloading[tuple[bytes, ...]]] | None = None,
    ) -> None:
        self._known = {name: secret_digest(secret) for name, secret in known.items()}
        self._files = dict(files or {})

    def name_of(self, shown: bytes) -> str | None:
        """The name of this secret; None where nobody has it."""
        digest = secret_digest(shown)
        found = None
        for name, known in self._known.items():
            if hmac.compare_digest(digest, known):
                found = name
        for name, file in self._files.items():
            for known in file.current():
                if hmac.compare_digest(digest, known):
                    found = name
        return found


def secret_digest(secret: bytes) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret).digest()


def token_file(path: Path, clock: Clock, where: str) -> Reloading[tuple[bytes, ...]]:
    """The digests of a file with a token on each line. Raises StartError, which shows none."""

    def digests(contents: Contents) -> tuple[bytes, ...]:
        found = []
        for number, line in enumerate(_lines(contents[0], path, where), 1):
            if not line.strip():
                continue
            try:
                check_token(line.strip())
            except ValueError as error:
                raise StartError(f"{where}: line {number} of {path} {error}") from None
            found.append(secret_digest(line.strip().encode()))
        if not found:
            raise StartError(f"{where}: {path} has no token")
        return tuple(found)

    return Reloading([path], digests, clock, where)


def password_file(
    path: Path, username: str, clock: Clock, where: str
) -> Reloading[tuple[bytes, ...]]:
    """The digest of a user's credentials, with the password on the file's first line.

    Raises StartError, which shows nothing of it.
    """

    def digests(contents: Contents) -> tuple[bytes, ...]:
        lines = _lines(contents[0], path, where)
        if not lines or not lines[0]:
            raise StartError(f"{where}: the first line of {path} is empty")
        return (secret_digest(f"{username}:{lines[0]}".encode()),)

    return Reloading([path], digests, clock, where)


def bearer_token(authorization: Sequence[bytes]) -> bytes:
    """The token in the values of a request's Authorization headers.

    It is taken as it stands: what follows it, even a space, is part of it. Raises
    UnauthenticatedError.
    """
    return _credentials(authorization, b"bearer", "a bearer token: 'Authorization: Bearer TOKEN'")


def basic_credentials(authorization: Sequence[bytes]) -> bytes:
    """user:password from the values of a request's Authorization headers.

    Raises UnauthenticatedError.
    """
    encoded = _credentials(authorization, b"basic", "a user name and a password")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise UnauthenticatedError("the Authorization header is no base64") from None


def authorization_values(headers: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The values of the Authorization headers among ASGI's."""
    return [value for name, value in headers if name == b"authorization"]


def _credentials(authorization: Sequence[bytes], scheme: bytes, wanted: str) -> bytes:
    if not authorization:
        raise UnauthenticatedError(f"this needs {wanted}")
    if len(authorization) > 1:
        raise UnauthenticatedError("there is more than one Authorization header")
    given, _, credentials = authorization[0].partition(b" ")
    credentials = credentials.lstrip(b" ")  # RFC 9110 11.4: one space or more
    if given.lower() != scheme or not credentials:
        raise UnauthenticatedError(f"this needs {wanted}")
    return credentials


def _lines(content: bytes, path: Path, where: str) -> list[str]:
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:
        raise StartError(f"{where}: {path} is not UTF-8") from None
