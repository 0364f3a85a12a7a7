"""Whether the receivers' ports answer OTLP: each gets a request with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import grpc

from spanmill.cli.doctor.access import (
    Certificate,
    bearer,
    client_token,
    reachable,
    shown_certificate,
    trusting,
)
from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.page import NoAnswerError, Site
from spanmill.config.model import Config, GrpcReceiverConfig, HttpReceiverConfig
from spanmill.config.tls import ServerTlsConfig

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_SECONDS: Final = 5.0
_NOT_THERE: Final = "is it the address of receivers.otlp, and the configuration that it runs with?"
_UNAUTHENTICATED: Final = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
_BUSY: Final = "see the lines on load and disk below"
_DAY: Final = 86400.0
_SOON_DAYS: Final = 14.0


def check_ports(config: Config, now: float) -> Iterator[Finding]:
    """OTLP over gRPC and over HTTP, as the configuration has them; `now` since the epoch."""
    otlp = config.receivers.otlp
    try:
        token = client_token(otlp.auth)
    except NoAnswerError as error:
        yield fail("tokens of OTLP", str(error), "make it readable for this user, too")
        token = None
    if otlp.grpc is not None:
        yield from _grpc(otlp.grpc, token, now)
    if otlp.http is not None:
        yield from _http(otlp.http, token, now)


def _grpc(receiver: GrpcReceiverConfig, token: str | None, now: float) -> Iterator[Finding]:
    address = reachable(receiver.endpoint)
    what = f"OTLP over gRPC on {address}"
    options: list[tuple[str, int | str]] = [("grpc.enable_retries", 0)]
    credentials = None
    tls = receiver.tls
    if tls is not None:
        try:
            shown = shown_certificate(address, tls)
            root, key = tls.cert_file.read_bytes(), tls.key_file.read_bytes()
        except (NoAnswerError, OSError) as error:
            yield _not_spoken_to(what, str(error), tls)
            return
        yield _lasting(what, shown, now)
        options.append(("grpc.ssl_target_name_override", shown.name))
        ours = () if tls.client_ca_file is None else (key, root)
        credentials = grpc.ssl_channel_credentials(root, *ours)
    target = str(address)
    with (
        grpc.insecure_channel(target, options)
        if credentials is None
        else grpc.secure_channel(target, credentials, options)
    ) as channel:
        metadata = tuple(bearer(token).items())
        try:
            channel.unary_unary(_EXPORT, None, None)(b"", timeout=_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            yield _grpc_refusal(what, error)
        else:
            yield ok(what, "takes requests")


def _grpc_refusal(what: str, error: grpc.RpcError) -> Finding:
    code = error.code() if isinstance(error, grpc.Call) else None
    details = (error.details() or "") if isinstance(error, grpc.Call) else str(error)
    if code in _UNAUTHENTICATED:
        return ok(what, "answers, and wants credentials")
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" not in details.lower():
        return warn(what, f"takes nothing now: {details}", _BUSY)
    name = code.name.lower() if code is not None else "no answer"
    return fail(what, f"{name}: {details}", _NOT_THERE)


def _http(receiver: HttpReceiverConfig, token: str | None, now: float) -> Iterator[Finding]:
    address = reachable(receiver.endpoint)
    what = f"OTLP over HTTP on {address}"
    scheme = "http" if receiver.tls is None else "https"
    try:
        context = None
        if receiver.tls is not None:
            yield _lasting(what, shown_certificate(address, receiver.tls), now)
            context = trusting(receiver.tls)
        site = Site(f"{scheme}://{address}", bearer(token), context)
        answer = site.post("/v1/traces", b"", "application/x-protobuf")
    except NoAnswerError as error:
        yield _not_spoken_to(what, str(error), receiver.tls)
        return
    if answer.status == 200:
        yield ok(what, "takes requests")
    elif answer.status in {401, 403}:
        yield ok(what, "answers, and wants credentials")
    elif answer.status == 503:
        yield warn(what, "takes nothing now", _BUSY)
    else:
        yield fail(what, f"answers {answer.status}", _NOT_THERE)


def _not_spoken_to(what: str, reason: str, tls: ServerTlsConfig | None) -> Finding:
    if tls is None or tls.client_ca_file is None:
        return fail(what, reason, _NOT_THERE)
    # What may well be: the only certificate at hand is the server's own.
    return warn(
        what,
        f"wants a client's certificate, and nothing was said to it: {reason}",
        "try it with a client that has one",
    )


def _lasting(what: str, shown: Certificate, now: float) -> Finding:
    days = (shown.ends - now) / _DAY
    mend = "put a new one into its place: it is read when the file changes"
    if days < 0:
        return fail(f"certificate of {what}", "has ended", mend)
    if days < _SOON_DAYS:
        return warn(f"certificate of {what}", f"ends in {days:.0f} days", mend)
    return ok(f"certificate of {what}", f"for {shown.name}, ends in {days:.0f} days")
