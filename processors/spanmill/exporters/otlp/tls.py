"""TLS towards a destination: files read at the start, so that a wrong one is said at once."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from spanmill.errors import StartError
from spanmill.exporters.otlp.settings import DestinationSettings


def client_context(settings: DestinationSettings) -> ssl.SSLContext:
    """The context for HTTPS; StartError names the key whose file can't be used."""
    tls = settings.tls
    where = f"{settings.signal.section}.{settings.name}.tls"
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise StartError(f"{where}.ca_file: can't use {tls.ca_file}: {_cause(error)}") from None
    if tls.key_file is not None and tls.cert_file is None:
        raise StartError(f"{where}.key_file: needs cert_file beside it")
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise StartError(
                f"{where}.cert_file: can't use {tls.cert_file} with key "
                f"{tls.key_file or tls.cert_file}: {_cause(error)}"
            ) from None
    return context


def channel_credentials(settings: DestinationSettings) -> grpc.ChannelCredentials:
    """The credentials for gRPC over TLS; StartError as above."""
    client_context(settings)  # gRPC itself would not complain about a file before it connects
    tls = settings.tls
    key_file = tls.key_file or tls.cert_file
    return grpc.ssl_channel_credentials(
        root_certificates=_content(tls.ca_file),
        private_key=_content(key_file),
        certificate_chain=_content(tls.cert_file),
    )


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file is not None else None


def _no_password() -> str:
    # Without it OpenSSL would ask on the terminal.
    raise ValueError("an encrypted key can't be used")


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{error.reason or 'no valid PEM'}".replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error)
