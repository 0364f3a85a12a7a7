"""The receivers as the configuration wants them, and what they share."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from spanmill.clock import Clock
from spanmill.config.model import GrpcReceiverConfig, HttpReceiverConfig, OtlpReceiverConfig
from spanmill.http_server.tls import contexts_of
from spanmill.receivers.admission import Admission, effective_request_size
from spanmill.receivers.auth import clients_of
from spanmill.receivers.grpc import GrpcReceiver
from spanmill.receivers.http import HttpReceiver
from spanmill.receivers.intake import Intake
from spanmill.receivers.memory_limit import default_budget, memory_limit
from spanmill.series.registry import Registry

_log = logging.getLogger(__name__)

Receiver = GrpcReceiver | HttpReceiver


def build_receivers(
    config: OtlpReceiverConfig, intakes: Sequence[Intake], registry: Registry, clock: Clock
) -> list[Receiver]:
    """The receivers, with one memory budget for all of them, which the metrics show.

    Raises StartError where a file of tokens or certificates can't be used.
    """
    admission = Admission(config.memory_budget or default_budget(memory_limit()), clock)
    _show(admission, registry)
    clients = clients_of(config.auth, clock)
    receivers: list[Receiver] = []
    if config.grpc is not None:
        _tell_size("receivers.otlp.grpc.max_request_size", config.grpc, admission)
        receivers.append(
            GrpcReceiver(
                intakes,
                config.grpc.endpoint.host,
                config.grpc.endpoint.port,
                config.grpc.max_request_size,
                handler_threads=config.grpc.handler_threads,
                max_connections=config.grpc.max_connections,
                admission=admission,
                clients=clients,
                tls=config.grpc.tls,
            )
        )
    if config.http is not None:
        _tell_size("receivers.otlp.http.max_request_size", config.http, admission)
        receivers.append(
            HttpReceiver(
                intakes,
                config.http.endpoint.host,
                config.http.endpoint.port,
                config.http.max_request_size,
                max_connections=config.http.max_connections,
                admission=admission,
                clients=clients,
                cors=config.http.cors,
                contexts=contexts_of(config.http.tls, clock, "receivers.otlp.http.tls"),
            )
        )
    return receivers


def _show(admission: Admission, registry: Registry) -> None:
    in_flight = registry.gauge(
        "spanmill_receiver_in_flight_bytes",
        "Memory that requests in flight hold or may take, as it is reserved for them.",
    )
    budget = registry.gauge(
        "spanmill_receiver_memory_budget_bytes",
        "Memory that requests in flight may take together.",
    )
    budget.set(admission.budget)
    registry.before_snapshot(lambda: in_flight.set(admission.used))


def _tell_size(
    key: str, config: GrpcReceiverConfig | HttpReceiverConfig, admission: Admission
) -> None:
    largest = effective_request_size(config.max_request_size, admission.budget)
    if largest < config.max_request_size:
        _log.info(
            "the memory budget allows smaller requests than are configured",
            extra={"key": key, "max_request_size": largest, "memory_budget": admission.budget},
        )
