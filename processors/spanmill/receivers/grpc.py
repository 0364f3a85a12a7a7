"""OTLP over gRPC."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NoReturn

import grpc

from spanmill.config.endpoints import ListenAddress
from spanmill.config.tls import ServerTlsConfig
from spanmill.errors import (
    RequestError,
    StartError,
    UnavailableError,
    UndecodableError,
    listen_failure,
)
from spanmill.journal.log import RETRY_AFTER_SECONDS
from spanmill.receivers.admission import (
    PATIENCE_SECONDS,
    UNLIMITED,
    Admission,
    Reservation,
    effective_request_size,
)
from spanmill.receivers.auth import Clients
from spanmill.receivers.body_deadline import BodyDeadline
from spanmill.receivers.call_limit import CallLimit
from spanmill.receivers.compression import GZIP_MAGIC, inflate_gzip
from spanmill.receivers.grpc_services import SideServices, refusing_handlers
from spanmill.receivers.grpc_tls import server_credentials
from spanmill.receivers.intake import Intake, Receipt, RequestCounts
from spanmill.receivers.status import (
    STATUS_DETAILS_KEY,
    Encoding,
    Refusal,
    refusal_of,
    status_details,
    success_body,
)

_IDENTITY_AND_GZIP: Final = 0b101
_CANCELLED_CALLS_SECONDS: Final = 1.0
_NO_MESSAGE: Final = "the call has no whole message"
_WAITING_CALLS: Final = 1024
_HANDSHAKE_MS: Final = 10_000
_IDLE_MS: Final = 2 * 3600 * 1000


def server_options(max_request_size: int, max_connections: int) -> list[tuple[str, int]]:
    """The options of grpcio's server; it ignores a misspelt one without a word.

    There is none that ends an old connection: a sidecar's lives as long as it does.
    """
    return [
        # On by default: a second process would bind the same port and take half of the requests.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_request_size),
        # The library would inflate before any limit is checked.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
        # Clients ping through idle hours to keep their connection open through a proxy.
        ("grpc.keepalive_permit_without_calls", 1),
        # Ours find out about clients that are gone without a word.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.max_allowed_incoming_connections", max_connections),
        # A connection that never says that it is HTTP/2, or nothing at all for two hours, would
        # keep a place for good.
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", _IDLE_MS),
        # What a connection may send ahead of our reading; else the library makes it megabytes
        # where the network is fast. A message that is being read is asked for whole.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 64 * 1024),
        # Further calls of one connection wait at the client.
        ("grpc.max_concurrent_streams", _WAITING_CALLS),
    ]


class GrpcReceiver:
    """Takes each intake's signal over gRPC, as raw bytes.

    There is one handler's thread for each request in flight; it waits for the commit of its
    request, so that many requests share one commit.
    """

    name: Final = "grpc"

    def __init__(
        self,
        intakes: Sequence[Intake],
        host: str,
        port: int,
        max_request_size: int,
        *,
        handler_threads: int,
        max_connections: int = 1000,
        admission: Admission | None = None,
        clients: Clients | None = None,
        tls: ServerTlsConfig | None = None,
    ) -> None:
        self._host = host
        self._port = port
        clock = intakes[0].clock
        self._clients = clients or Clients(None, clock)
        self._credentials = server_credentials(tls, clock) if tls is not None else None
        self._admission = admission or Admission(UNLIMITED, clock)
        self._max_request_size = effective_request_size(max_request_size, self._admission.budget)
        self._calls = CallLimit(handler_threads, _WAITING_CALLS)
        self._body_deadline = BodyDeadline(
            clock, others_wait=lambda: self._admission.pressed or self._calls.others_wait
        )
        self._threads = ThreadPoolExecutor(handler_threads, thread_name_prefix="grpc-handler")
        self._side_services = SideServices(clock, [intake.taken.service for intake in intakes])
        # Never maximum_concurrent_rpcs: it refuses with RESOURCE_EXHAUSTED and no RetryInfo, on
        # which clients drop their data.
        self._server = grpc.server(
            self._threads,
            handlers=[
                *(self._service(intake) for intake in intakes),
                *self._side_services.handlers(),
                *refusing_handlers(partial(intakes[0].refuse_signal, self.name)),
            ],
            options=server_options(self._max_request_size, max_connections),
        )

    @property
    def port(self) -> int:
        """The port; where 0 was asked for, the free one that `bind` has found."""
        return self._port

    @property
    def endpoint(self) -> str:
        """Host and port, as one writes them in an address."""
        return str(ListenAddress(self._host, self._port))

    def bind(self) -> None:
        """Take the address; clients wait for `start` from now on. Raises StartError."""
        try:
            _try_address(self._host, self._port)
            if self._credentials is None:
                self._port = self._server.add_insecure_port(self.endpoint)
            else:
                self._port = self._server.add_secure_port(self.endpoint, self._credentials)
        except (OSError, UnicodeError, OverflowError, RuntimeError) as error:
            raise StartError(
                f"OTLP gRPC receiver {self.endpoint}: {listen_failure(error)}"
            ) from error

    def start(self) -> None:
        """Answer requests."""
        self._body_deadline.start()
        self._side_services.start()
        self._server.start()

    def stop(self, grace_seconds: float) -> None:
        """Take no new requests, answer those in flight, and cancel what is left at the end."""
        grace = max(0.0, grace_seconds)
        self._side_services.announce_shutdown()
        stopped = self._server.stop(grace)
        self._side_services.end_streams()
        stopped.wait(grace + _CANCELLED_CALLS_SECONDS)
        self._side_services.close()
        self._body_deadline.stop()
        self._calls.close()
        self._threads.shutdown(wait=False)

    def _service(self, intake: Intake) -> grpc.GenericRpcHandler[Any, Any]:
        counts = intake.counts(self.name)

        def refuse(context: grpc.ServicerContext) -> NoReturn:
            counts.refused()
            busy = UnavailableError("too many calls wait for their turn", RETRY_AFTER_SECONDS)
            _refuse(context, refusal_of(busy))

        export = partial(self._export, intake, counts)
        return self._calls.service(intake.taken.service, export, refuse)

    def _export(
        self,
        intake: Intake,
        counts: RequestCounts,
        messages: Iterator[bytes],
        context: grpc.ServicerContext,
    ) -> bytes:
        """Take one request; declared as a stream, since grpcio hides a second message else."""
        try:
            client = self._clients.of_call(context)
            # grpcio tells no size before it has read the message: it may be any up to the limit.
            room = self._admission.reserve(client, self._max_request_size, PATIENCE_SECONDS)
        except RequestError as error:
            counts.refused()
            _refuse(context, refusal_of(error))
        with room:
            body, more = self._read(messages, context)
            if body is None:
                return b""
            arrived = counts.arrived()
            try:
                if more:
                    raise UndecodableError("the call has more than one message")
                receipt = self._take(intake, body, client, room)
                response = success_body(receipt, intake.taken, Encoding.PROTOBUF)
            except Exception as error:  # noqa: BLE001 - refusal_of logs what nobody expected
                counts.refused()
                _refuse(context, refusal_of(error))
        counts.acknowledged(receipt, arrived)
        return response

    def _read(
        self, messages: Iterator[bytes], context: grpc.ServicerContext
    ) -> tuple[bytes | None, bool]:
        """The message, or None where nobody waits for an answer; and whether another follows."""
        self._body_deadline.begin(context)
        try:
            body = next(messages, None)
            if body is None:
                # Not counted: a stream that is reset half-way often looks the same.
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_MESSAGE)
            more = next(messages, None) is not None
        except grpc.RpcError:
            return None, False  # the client has gone, or the core has refused the message
        finally:
            self._body_deadline.end(context)
        # Who was cancelled will try again.
        return (body if context.is_active() else None), more

    def _take(self, intake: Intake, body: bytes, client: str, room: Reservation) -> Receipt:
        if body.startswith(GZIP_MAGIC):
            # grpcio hands over compressed bytes without saying so.
            size = len(body)
            body = inflate_gzip(
                body,
                self._max_request_size,
                members="one",
                grow=lambda inflated: room.at_least(size + inflated),
            )
        return intake.take_whole(body, client, room)


def _refuse(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    if refusal.retry_after is not None:
        context.set_trailing_metadata(((STATUS_DETAILS_KEY, status_details(refusal)),))
    context.abort(refusal.code, refusal.message)


def _try_address(host: str, port: int) -> None:
    """Bind an ordinary socket first: its error has a reason, and gRPC's has none.

    Raises OSError.
    """
    refused: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(address)
            except OSError as error:
                refused = error
            else:
                return
    if refused is not None:
        raise refused
