"""Who sends: the name of a token or of a certificate, else the peer's host address."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Final, cast
from urllib.parse import unquote

import grpc

from spanmill.clock import Clock
from spanmill.config.auth import OtlpAuthConfig
from spanmill.errors import StartError, UnauthenticatedError
from spanmill.http_server.asgi import Scope
from spanmill.http_server.authorization import (
    Secrets,
    authorization_values,
    bearer_token,
    token_file,
)
from spanmill.http_server.certificates import certificate_name
from spanmill.http_server.connection import CLIENT_CERTIFICATE

_log = logging.getLogger(__name__)

_KEY: Final = "receivers.otlp.auth"
_NOTICE_SECONDS: Final = 60.0
_WRONG_TOKEN: Final = "nobody has this bearer token"


class Clients:
    """Identifies the client of each request before a byte of its body is read.

    With tokens, each request must carry one, and the identity is `token:NAME`. Without tokens it
    is `certificate:NAME` where the client has shown a certificate of the configured authorities
    (which TLS has checked), else its host address without the port, since a retry may come over a
    new connection. Safe to use from many threads.
    """

    def __init__(self, secrets: Secrets | None, clock: Clock) -> None:
        self._secrets = secrets
        self._notices = _Notices(clock)

    def of_call(self, context: grpc.ServicerContext) -> str:
        """The client of a gRPC call. Raises UnauthenticatedError."""
        host = _peer_host(context.peer())
        if self._secrets is None:
            return _call_certificate(context) or host
        values = [
            value.encode() if isinstance(value, str) else value
            for name, value in context.invocation_metadata()
            if name == "authorization"
        ]
        return self._token_name(self._secrets, values, host)

    def of_request(self, scope: Scope) -> str:
        """The client of an HTTP request. Raises UnauthenticatedError."""
        client = scope.get("client")
        host = _plain_host(client[0]) if client else ""
        if self._secrets is None:
            certificate = scope.get("extensions", {}).get(CLIENT_CERTIFICATE)
            return f"certificate:{certificate}" if certificate else host
        return self._token_name(self._secrets, authorization_values(scope["headers"]), host)

    def _token_name(self, secrets: Secrets, authorization: Sequence[bytes], host: str) -> str:
        try:
            name = secrets.name_of(bearer_token(authorization))
            if name is None:
                raise UnauthenticatedError(_WRONG_TOKEN)
        except UnauthenticatedError as error:
            self._notices.refused(host, str(error))
            raise
        return f"token:{name}"


def clients_of(auth: OtlpAuthConfig | None, clock: Clock) -> Clients:
    """Reads the files of tokens. Raises StartError, which shows none."""
    if auth is None:
        return Clients(None, clock)
    if not auth.tokens and not auth.token_files:
        raise StartError(f"{_KEY}: has neither tokens nor token_files: nobody could send")
    known = {name: token.get_secret_value().encode() for name, token in auth.tokens.items()}
    files = {
        name: token_file(path, clock, f"{_KEY}.token_files.{name}")
        for name, path in auth.token_files.items()
    }
    return Clients(Secrets(known, files), clock)


class _Notices:
    """Logs refused clients, at most one line a minute: anyone who reaches the port can be one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = clock.monotonic()
        self._unsaid = 0
        self._lock = threading.Lock()

    def refused(self, host: str, reason: str) -> None:
        with self._lock:
            self._unsaid += 1
            if self._clock.monotonic() < self._next:
                return
            requests, self._unsaid = self._unsaid, 0
            self._next = self._clock.monotonic() + _NOTICE_SECONDS
        fields = {"requests": requests, "last_client": host, "last_reason": reason}
        _log.warning("requests without a valid token were refused", extra=fields)


def _call_certificate(context: grpc.ServicerContext) -> str | None:
    # The stubs say one value for each key, and grpc gives a list.
    shown = cast(Mapping[str, Sequence[bytes]], context.auth_context())
    pem = shown.get("x509_pem_cert")
    if not pem:
        return None
    uris, dns_names, common_names = (
        [value.decode("utf-8", "replace") for value in shown.get(key, ())]
        for key in ("peer_uri", "peer_dns", "x509_common_name")
    )
    encoded = ssl.PEM_cert_to_DER_cert(pem[0].decode("ascii"))  # as HTTP's TLS has it
    return f"certificate:{certificate_name(uris, dns_names, common_names, encoded)}"


def _peer_host(peer: str) -> str:
    """The host of a peer as gRPC writes it: "ipv4:10.0.0.1:4711", "ipv6:%5B::1%5D:4711"."""
    scheme, _, address = peer.partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return peer
    return _plain_host(unquote(address).rpartition(":")[0].strip("[]"))


def _plain_host(host: str) -> str:
    """An IPv4 address as such, also where a socket of both families shows it (RFC 4291 2.5.5.2)."""
    mapped = host.removeprefix("::ffff:")
    return mapped if "." in mapped else host
