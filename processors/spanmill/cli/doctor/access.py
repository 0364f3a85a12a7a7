"""How the doctor gets in: credentials and encryption, as the configuration has them."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.cli.doctor.page import NoAnswerError, Site, innermost
from spanmill.config.auth import OtlpAuthConfig, ScrapeAuthConfig
from spanmill.config.endpoints import ListenAddress
from spanmill.config.metrics_token import METRICS_AUTH_TOKEN
from spanmill.config.model import Config
from spanmill.config.tls import ServerTlsConfig

_DEFAULT_URL: Final = "http://127.0.0.1:9464"
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server showed: a name that it is for, and when it ends, in seconds since the epoch."""

    name: str
    ends: float


def reachable(address: ListenAddress) -> ListenAddress:
    """What listens on this address, as one asks for it from the same machine."""
    return ListenAddress(_EVERYWHERE.get(address.host, address.host), address.port)


def scrape_site(url: str | None, config: Config | None, environment: Mapping[str, str]) -> Site:
    """The scrape endpoint: `url` where it is given, with the credentials that are known.

    Those are of the configuration (METRICS_AUTH_TOKEN is in it), or else of the environment.
    Raises NoAnswerError where a file with a secret can't be read.
    """
    if config is None:
        token = environment.get(METRICS_AUTH_TOKEN)
        return Site(url or _DEFAULT_URL, bearer(token))
    prometheus = config.exporters.prometheus
    scheme = "http" if prometheus.tls is None else "https"
    return Site(
        url or f"{scheme}://{reachable(prometheus.endpoint)}",
        {} if prometheus.auth is None else _scrape_headers(prometheus.auth),
        None if prometheus.tls is None else trusting(prometheus.tls),
    )


def bearer(token: str | None) -> dict[str, str]:
    """The header that carries a token."""
    return {} if not token else {"authorization": f"Bearer {token}"}


def client_token(auth: OtlpAuthConfig | None) -> str | None:
    """A token of one of the clients that may send; None where anybody may."""
    if auth is None:
        return None
    for token in auth.tokens.values():
        return token.get_secret_value()
    for file in auth.token_files.values():
        return _first_line(file)
    return None


def trusting(tls: ServerTlsConfig) -> ssl.SSLContext:
    """Trusts the server's own certificate, whatever address it is asked at.

    Raises NoAnswerError where the file can't be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(tls.cert_file))
        context.check_hostname = False
        # The certificate itself, not only the authority that stands above it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if tls.client_ca_file is not None:
            # Its own certificate is the only one at hand; it may be good for clients, too.
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise NoAnswerError(f"{tls.cert_file} can't be used: {innermost(error)}") from error
    return context


def shown_certificate(address: ListenAddress, tls: ServerTlsConfig) -> Certificate:
    """What the server at this address shows; NoAnswerError where it shows another one, or none."""
    context = trusting(tls)
    try:
        with (
            socket.create_connection((address.host, address.port), _SECONDS) as plain,
            context.wrap_socket(plain) as secure,
        ):
            shown = secure.getpeercert() or {}
    except OSError as error:  # SSLError is one
        raise NoAnswerError(innermost(error)) from error
    names = [str(pair[1]) for pair in shown.get("subjectAltName", ())]
    ends = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    return Certificate(names[0] if names else address.host, ends)


def _scrape_headers(auth: ScrapeAuthConfig) -> dict[str, str]:
    if auth.token is not None:
        return bearer(auth.token.get_secret_value())
    if auth.token_file is not None:
        return bearer(_first_line(auth.token_file))
    if auth.username is None:
        return {}
    password = ""
    if auth.password is not None:
        password = auth.password.get_secret_value()
    elif auth.password_file is not None:
        password = _first_line(auth.password_file)
    pair = base64.b64encode(f"{auth.username}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError as error:
        raise NoAnswerError(f"{file} can't be read: {innermost(error)}") from error
