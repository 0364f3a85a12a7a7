"""TLS for servers: contexts that follow their files."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from spanmill.clock import Clock
from spanmill.config.tls import HttpTlsConfig, ServerTlsConfig
from spanmill.errors import StartError
from spanmill.http_server.certificates import server_context
from spanmill.http_server.reloading import Contents, Reloading, read_files

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

T = TypeVar("T")


def follow_files(
    tls: ServerTlsConfig, make: Callable[[ssl.SSLContext, Contents], T], clock: Clock, where: str
) -> Reloading[T]:
    """What `make` makes of the files of `tls`, tried out before, and again when they change.

    It gets the contents of cert_file, key_file and, where there is one, client_ca_file. Raises
    StartError, which names the key below `where`.
    """
    files = tls_files(tls)

    def checked(contents: Contents) -> T:
        context = server_context(tls.cert_file, tls.key_file, tls.client_ca_file, where)
        if read_files(files, where) != contents:  # OpenSSL reads files and nothing else
            raise StartError(f"{where}: the files change while they are read")
        return make(context, contents)

    return Reloading(files, checked, clock, where)


def http_contexts(tls: HttpTlsConfig, clock: Clock, where: str) -> Reloading[ssl.SSLContext]:
    """The context for each new connection over HTTP. Raises StartError."""

    def http_context(context: ssl.SSLContext, _contents: Contents) -> ssl.SSLContext:
        context.minimum_version = _VERSIONS[tls.min_version]
        context.set_alpn_protocols(["http/1.1"])
        return context

    return follow_files(tls, http_context, clock, where)


def contexts_of(
    tls: HttpTlsConfig | None, clock: Clock, where: str
) -> Callable[[], ssl.SSLContext] | None:
    """What `HttpServer` asks for each connection's context; None for plain text."""
    return None if tls is None else http_contexts(tls, clock, where).current


def tls_files(tls: ServerTlsConfig) -> list[Path]:
    """The files that are read: the certificate, its key, the authorities of clients."""
    files = [tls.cert_file, tls.key_file]
    return files if tls.client_ca_file is None else [*files, tls.client_ca_file]
