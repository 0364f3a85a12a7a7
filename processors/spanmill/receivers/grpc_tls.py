"""TLS for the gRPC server: each handshake gets the certificate that the files have now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import grpc

from spanmill.clock import Clock
from spanmill.config.tls import ServerTlsConfig
from spanmill.http_server.reloading import Reloading
from spanmill.http_server.tls import follow_files

_KEY: Final = "receivers.otlp.grpc.tls"


def server_credentials(tls: ServerTlsConfig, clock: Clock) -> grpc.ServerCredentials:
    """Credentials that follow their files. Raises StartError, which names the key."""

    def configuration(
        _context: object, contents: Sequence[bytes]
    ) -> grpc.ServerCertificateConfiguration:
        cert, key, *client_ca = contents
        return grpc.ssl_server_certificate_configuration(
            [(key, cert)], client_ca[0] if client_ca else None
        )

    files = follow_files(tls, configuration, clock, _KEY)
    renewal = _Renewal(files)
    return grpc.dynamic_ssl_server_credentials(
        renewal.handed,
        renewal,  # type: ignore[arg-type]  # the stubs don't know that it may return None
        require_client_authentication=tls.client_ca_file is not None,
    )


class _Renewal:
    """What grpc asks before each handshake: a new configuration, or None for the one it has."""

    def __init__(self, files: Reloading[grpc.ServerCertificateConfiguration]) -> None:
        self._files = files
        self.handed = files.current()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._files.current()
        if current is self.handed:
            return None
        self.handed = current
        return current
