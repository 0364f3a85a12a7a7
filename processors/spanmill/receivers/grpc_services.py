"""The gRPC services beside those that take requests: health, reflection, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2

from spanmill.clock import Clock
from spanmill.receivers.body_deadline import BodyDeadline
from spanmill.receivers.intake import RequestSignal
from spanmill.receivers.status import unsupported

_REFUSED_SERVICES: Final[dict[RequestSignal, str]] = {
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "profiles": "opentelemetry.proto.collector.profiles.v1development.ProfilesService",
}

_REFLECTION_SERVICE: Final = "grpc.reflection.v1alpha.ServerReflection"

_QUESTION_SECONDS: Final = 5.0
_NO_QUESTION: Final = "the call has no whole message"

M = TypeVar("M")


class SideServices:
    """Health and reflection, in threads of their own.

    A probe is answered while every handler's thread waits for a commit, and no number of
    watchers and open reflection streams takes a thread from the requests. A client that asks
    nothing for some seconds is cancelled: grpcio waits for each question in a thread.
    """

    def __init__(self, clock: Clock, services: Sequence[str]) -> None:
        self._deadline = BodyDeadline(clock, _QUESTION_SECONDS)
        self._health = health.HealthServicer()
        for service in services:
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._reflected = (*services, health.SERVICE_NAME, _REFLECTION_SERVICE)
        self._pools = [
            ThreadPoolExecutor(4, thread_name_prefix="grpc-health"),
            ThreadPoolExecutor(4, thread_name_prefix="grpc-reflection"),
        ]
        health_pool, reflection_pool = self._pools
        check = _first_question(self._health.Check, self._deadline)
        watch = _first_question(self._health.Watch, self._deadline)
        reflect = _every_question(self._answer_reflection, self._deadline)
        self._check = _Apart(check, health_pool)
        self._watch = _Apart(watch, health_pool, non_blocking=True)
        self._reflect = _Apart(reflect, reflection_pool)

    def handlers(self) -> list[grpc.GenericRpcHandler[Any, Any]]:
        """What the server asks for its handlers."""
        check, watch = (
            handler(
                behavior,
                health_pb2.HealthCheckRequest.FromString,
                health_pb2.HealthCheckResponse.SerializeToString,
            )
            for handler, behavior in (
                # Declared as streams of requests: else grpcio calls us after it has waited.
                (grpc.stream_unary_rpc_method_handler, self._check),
                (grpc.stream_stream_rpc_method_handler, self._watch),
            )
        )
        reflect = grpc.stream_stream_rpc_method_handler(
            self._reflect,
            _reflection_question,
            _serialized,
        )
        return [
            grpc.method_handlers_generic_handler(
                health.SERVICE_NAME, {"Check": check, "Watch": watch}
            ),
            grpc.method_handlers_generic_handler(
                _REFLECTION_SERVICE, {"ServerReflectionInfo": reflect}
            ),
        ]

    def _answer_reflection(self, questions: Any, context: grpc.ServicerContext) -> Iterable[Any]:
        # Here, since it takes 1 MB and hardly any process is ever asked.
        from grpc_reflection.v1alpha import reflection

        servicer: Any = reflection.ReflectionServicer(self._reflected)
        answers: Iterable[Any] = servicer.ServerReflectionInfo(questions, context)
        return answers

    def start(self) -> None:
        """Cancel silent calls from now on."""
        self._deadline.start()

    def announce_shutdown(self) -> None:
        """Tell everyone who asks or watches that nothing is served any more."""
        self._health.enter_graceful_shutdown()

    def end_streams(self) -> None:
        """End the open streams, which would never end by themselves."""
        self._watch.end_calls()
        self._reflect.end_calls()

    def close(self) -> None:
        """Let go of the threads, once the server hands out no more calls."""
        self._deadline.stop()
        for pool in self._pools:
            pool.shutdown(wait=False)


def _reflection_question(message: bytes) -> Any:
    from grpc_reflection.v1alpha import reflection_pb2

    return reflection_pb2.ServerReflectionRequest.FromString(message)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _next_question(
    questions: Iterator[M], context: grpc.ServicerContext, deadline: BodyDeadline
) -> M | None:
    """The next message of a call, None at its end; RpcError where the call is cancelled."""
    deadline.begin(context)
    try:
        return next(questions, None)
    finally:
        deadline.end(context)


def _first_question(behavior: Callable[..., Any], deadline: BodyDeadline) -> Callable[..., Any]:
    """A method that takes one message, as one that takes a stream and waits a while for it."""

    def answer(questions: Iterator[Any], context: grpc.ServicerContext, *more: Any) -> Any:
        question = _next_question(questions, context, deadline)
        if question is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_QUESTION)
        return behavior(question, context, *more)

    return answer


def _every_question(behavior: Callable[..., Any], deadline: BodyDeadline) -> Callable[..., Any]:
    """A method that takes a stream, as one that waits for each of its messages a while."""

    def timed(questions: Iterator[M], context: grpc.ServicerContext) -> Iterable[M]:
        while (question := _next_question(questions, context, deadline)) is not None:
            yield question

    def answer(questions: Iterator[Any], context: grpc.ServicerContext) -> Any:
        return behavior(timed(questions, context), context)

    return answer


class _Apart:
    """A method that runs in threads of its own, and whose open calls can be ended.

    grpcio looks for the two attributes at the behaviour that it is given. (Its health servicer
    puts them on the class, where two servers would share them.)
    """

    def __init__(
        self,
        behavior: Callable[..., Any],  # the four shapes of a gRPC method have no common type
        pool: ThreadPoolExecutor,
        *,
        non_blocking: bool = False,
    ) -> None:
        self.experimental_thread_pool = pool
        self.experimental_non_blocking = non_blocking
        self._behavior = behavior
        self._open: set[grpc.ServicerContext] = set()

    def __call__(self, request: Any, context: grpc.ServicerContext, *more: Any) -> Any:
        self._open.add(context)
        if not context.add_callback(lambda: self._open.discard(context)):
            self._open.discard(context)
        return self._behavior(request, context, *more)

    def end_calls(self) -> None:
        """Cancel what is open."""
        for context in tuple(self._open):
            context.cancel()  # type: ignore[no-untyped-call]  # the stubs leave it untyped


def refusing_handlers(
    refuse: Callable[[RequestSignal], None],
) -> list[grpc.GenericRpcHandler[Any, Any]]:
    """The services of the signals that are not supported: UNIMPLEMENTED, and a sentence.

    `refuse` counts such a request.
    """
    return [
        grpc.method_handlers_generic_handler(
            service, {"Export": grpc.stream_unary_rpc_method_handler(_refusing(signal, refuse))}
        )
        for signal, service in _REFUSED_SERVICES.items()
    ]


def _refusing(
    signal: RequestSignal, count: Callable[[RequestSignal], None]
) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
    def refuse(_messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        # Declared as a stream of requests, it answers without reading any of it.
        count(signal)
        context.abort(grpc.StatusCode.UNIMPLEMENTED, unsupported(signal))

    return refuse
