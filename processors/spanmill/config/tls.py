"""Encryption of what listens here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from spanmill.config.section import Section
from spanmill.config.value_types import FilePath


def _as_text(value: object) -> object:
    """YAML reads 1.3 without quotes as a number."""
    return str(value) if isinstance(value, float) else value


TlsVersion = Annotated[Literal["1.2", "1.3"], BeforeValidator(_as_text)]


class ServerTlsConfig(Section):
    """TLS for what listens, or null; the files are read again when they change.

    gRPC's library takes TLS 1.2 and 1.3 and has no setting for it.
    """

    cert_file: FilePath = Field(
        description="Our certificate, and those between it and its authority (PEM)."
    )
    key_file: FilePath = Field(description="The private key of the certificate (PEM), unencrypted.")
    client_ca_file: FilePath | None = Field(
        default=None,
        description="Mutual TLS: the authorities (PEM) of which a client must show a certificate.",
    )


class HttpTlsConfig(ServerTlsConfig):
    """TLS for an HTTP server, or null; the files are read again when they change."""

    min_version: TlsVersion = Field(
        default="1.2", description="The oldest version of TLS that is spoken."
    )
