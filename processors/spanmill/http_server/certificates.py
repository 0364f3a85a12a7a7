"""Certificates of a server: read, tried out, and the name in a client's."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from spanmill.errors import StartError

_MAX_ROUNDS: Final = 8
_MAX_NAME: Final = 256


def server_context(
    cert_file: Path, key_file: Path, client_ca_file: Path | None, where: str
) -> ssl.SSLContext:
    """A context with our certificate; with authorities it asks each client for a certificate.

    The certificate is shown to a client of our own first: one that is expired, not valid yet or
    not meant for a server is refused here. Raises StartError, which names the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:
        raise StartError(
            f"{where}.cert_file: can't use {cert_file} with key {key_file}: {_cause(error)}"
        ) from None
    _try_out(context, cert_file, where)
    if client_ca_file is not None:
        try:
            context.load_verify_locations(client_ca_file)
        except OSError as error:
            raise StartError(
                f"{where}.client_ca_file: can't use {client_ca_file}: {_cause(error)}"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def certificate_name(
    uris: Sequence[str], dns_names: Sequence[str], common_names: Sequence[str], fallback: bytes
) -> str:
    """The one name of a client's certificate, the same on every transport.

    The first URI (a workload's SPIFFE id), else the first DNS name, else the common name, else
    the SHA-256 of the certificate `fallback`.
    """
    for name in (*uris[:1], *dns_names[:1], *common_names[:1]):
        if name:
            return name[:_MAX_NAME]
    return f"sha256:{hashlib.sha256(fallback).hexdigest()}"


def peer_name(peer: ssl.SSLObject) -> str | None:
    """The name in the certificate that a client has shown; None where it has shown none."""
    certificate: Mapping[str, Any] = peer.getpeercert() or {}
    binary = peer.getpeercert(binary_form=True)
    if binary is None:
        return None
    names = certificate.get("subjectAltName", ())
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    return certificate_name(
        [value for kind, value in names if kind == "URI"],
        [value for kind, value in names if kind == "DNS"],
        [value for kind, value in subject if kind == "commonName"],
        binary,
    )


def _try_out(server: ssl.SSLContext, cert_file: Path, where: str) -> None:
    """Shake hands in memory with a client that trusts this certificate and no other."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cert_file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        for _ in range(_MAX_ROUNDS):
            sides = [side for side in sides if not _shaken(side)]
    except ssl.SSLError as error:
        raise StartError(f"{where}.cert_file: can't use {cert_file}: {_cause(error)}") from None


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _no_password() -> str:
    # Without it OpenSSL would ask on the terminal.
    raise ValueError("an encrypted key can't be used")


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return f"{error.reason or 'no valid PEM'}".replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error)
