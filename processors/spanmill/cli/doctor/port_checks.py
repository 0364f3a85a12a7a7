"""Whether the receivers' ports answer OTLP: each gets a request with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.page import NoAnswerError, Site
from spanmill.config.endpoints import ListenAddress
from spanmill.config.model import Config

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_SECONDS: Final = 5.0
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_NOT_THERE: Final = "is it the address of receivers.otlp? name the configuration with --config"
_WANTS_TOKEN: Final = frozenset({401, 403})


def check_ports(config: Config) -> Iterator[Finding]:
    """OTLP over gRPC and over HTTP, as the configuration has them."""
    otlp = config.receivers.otlp
    if otlp.grpc is not None:
        yield _grpc(reachable(otlp.grpc.endpoint))
    if otlp.http is not None:
        yield _http(reachable(otlp.http.endpoint))


def reachable(address: ListenAddress) -> str:
    """host:port of what listens on this address, as one asks for it from the same machine."""
    return str(ListenAddress(_EVERYWHERE.get(address.host, address.host), address.port))


def _grpc(address: str) -> Finding:
    what = f"OTLP over gRPC on {address}"
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        try:
            channel.unary_unary(_EXPORT, None, None)(b"", timeout=_SECONDS)
        except grpc.RpcError as error:
            return _grpc_refusal(what, error)
    return ok(what, "takes requests")


def _grpc_refusal(what: str, error: grpc.RpcError) -> Finding:
    code = error.code() if isinstance(error, grpc.Call) else None
    details = (error.details() or "") if isinstance(error, grpc.Call) else str(error)
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return ok(what, "answers, and wants credentials")
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" not in details.lower():
        return warn(what, f"takes nothing now: {details}", "see the lines on disk and load below")
    name = code.name.lower() if code is not None else "no answer"
    return fail(what, f"{name}: {details}", _NOT_THERE)


def _http(address: str) -> Finding:
    what = f"OTLP over HTTP on {address}"
    try:
        answer = Site(f"http://{address}").post("/v1/traces", b"", "application/x-protobuf")
    except NoAnswerError as error:
        return fail(what, str(error), _NOT_THERE)
    if answer.status == 200:
        return ok(what, "takes requests")
    if answer.status in _WANTS_TOKEN:
        return ok(what, "answers, and wants credentials")
    if answer.status == 503:
        return warn(what, "takes nothing now", "see the lines on disk and load below")
    return fail(what, f"answers {answer.status}", _NOT_THERE)
