"""Where the test certificates are, and servers' settings made of them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Certificates:
    """PEM files: server.pem and server.key, client.pem and client.key."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name

    def server_context(self, *, ask_client: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("server.pem"), self.file("server.key"))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file("client.pem"))
        return context

    def server_credentials(self, *, ask_client: bool) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials(
            [(self.file("server.key").read_bytes(), self.file("server.pem").read_bytes())],
            root_certificates=self.file("client.pem").read_bytes() if ask_client else None,
            require_client_auth=ask_client,
        )
