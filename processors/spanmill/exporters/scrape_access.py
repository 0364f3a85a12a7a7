"""Who may read /metrics and /series."""

from __future__ import annotations

from typing import Final

from spanmill.clock import Clock
from spanmill.config.auth import ScrapeAuthConfig
from spanmill.errors import UnauthenticatedError
from spanmill.http_server.asgi import Scope
from spanmill.http_server.authorization import (
    BASIC_CHALLENGE,
    BEARER_CHALLENGE,
    Secrets,
    authorization_values,
    basic_credentials,
    bearer_token,
    password_file,
    token_file,
)

_KEY: Final = "exporters.prometheus.auth"


class ScrapeAccess:
    """Lets in who shows the token, or the user name and the password; None asks for neither."""

    def __init__(self, tokens: Secrets | None, users: Secrets | None) -> None:
        self._tokens = tokens
        self._users = users

    def challenges_to(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What a request lacks, as headers of a 401; none where it may go on."""
        if self._tokens is None and self._users is None:
            return []
        values = authorization_values(scope["headers"])
        challenges = []
        for secrets, read, challenge in (
            (self._tokens, bearer_token, BEARER_CHALLENGE),
            (self._users, basic_credentials, BASIC_CHALLENGE),
        ):
            if secrets is None:
                continue
            try:
                if secrets.name_of(read(values)) is not None:
                    return []
            except UnauthenticatedError:
                pass  # the other way may do
            challenges.append((b"www-authenticate", challenge))
        return challenges


OPEN_TO_ALL: Final = ScrapeAccess(None, None)


def scrape_access(auth: ScrapeAuthConfig | None, clock: Clock) -> ScrapeAccess:
    """Reads the files of the token and the password. Raises StartError, which shows neither."""
    if auth is None or not auth.is_on:
        return OPEN_TO_ALL
    return ScrapeAccess(_tokens(auth, clock), _users(auth, clock))


def _tokens(auth: ScrapeAuthConfig, clock: Clock) -> Secrets | None:
    if auth.token is not None:
        return Secrets({"scrape": auth.token.get_secret_value().encode()})
    if auth.token_file is not None:
        return Secrets({}, {"scrape": token_file(auth.token_file, clock, f"{_KEY}.token_file")})
    return None


def _users(auth: ScrapeAuthConfig, clock: Clock) -> Secrets | None:
    if auth.username is None:
        return None
    if auth.password is not None:
        credentials = f"{auth.username}:{auth.password.get_secret_value()}"
        return Secrets({auth.username: credentials.encode()})
    assert auth.password_file is not None, "the configuration wants one of the two"
    where = f"{_KEY}.password_file"
    return Secrets(
        {}, {auth.username: password_file(auth.password_file, auth.username, clock, where)}
    )
