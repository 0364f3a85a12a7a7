"""The files that what listens needs, tried out as a start would."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spanmill.clock import Clock
from spanmill.config.load import LoadedConfig
from spanmill.config.problems import Problem
from spanmill.config.tls import ServerTlsConfig
from spanmill.errors import StartError
from spanmill.exporters.scrape_access import scrape_access
from spanmill.http_server.certificates import server_context
from spanmill.http_server.reloading import read_files
from spanmill.http_server.tls import tls_files
from spanmill.receivers.auth import clients_of


def listener_problems(loaded: LoadedConfig, clock: Clock) -> Iterator[Problem]:
    """Unreadable files, keys of other certificates, expired certificates, files without a token."""
    otlp, prometheus = loaded.config.receivers.otlp, loaded.config.exporters.prometheus
    grpc, http = otlp.grpc, otlp.http
    trials: list[tuple[str, Callable[[], object]]] = [
        ("receivers.otlp.auth", lambda: clients_of(otlp.auth, clock)),
        ("exporters.prometheus.auth", lambda: scrape_access(prometheus.auth, clock)),
    ]
    for key, tls in (
        ("receivers.otlp.grpc.tls", grpc.tls if grpc is not None else None),
        ("receivers.otlp.http.tls", http.tls if http is not None else None),
        ("exporters.prometheus.tls", prometheus.tls),
    ):
        if tls is not None:
            trials.append((key, _trial(key, tls)))
    for key, trial in trials:
        try:
            trial()
        except StartError as error:  # it names the key itself
            yield Problem(loaded.lines.get(key, 1), (), str(error))


def _trial(key: str, tls: ServerTlsConfig) -> Callable[[], object]:
    def trial() -> None:
        read_files(tls_files(tls), key)
        server_context(tls.cert_file, tls.key_file, tls.client_ca_file, key)

    return trial
