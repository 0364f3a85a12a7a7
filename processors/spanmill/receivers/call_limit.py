"""How many gRPC calls are there at once, for which grpcio has no limit that clients understand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc

Behavior = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]


class CallLimit:
    """Refuses calls beyond a number at once, before they wait for a handler's thread.

    A call that waits takes about 30 KB, and what its connection has sent ahead. grpcio's own
    limit answers RESOURCE_EXHAUSTED without RetryInfo, on which clients drop their data.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._running = running
        self._most = running + waiting
        self._lock = threading.Lock()
        self._calls = 0
        self._refusing = ThreadPoolExecutor(1, thread_name_prefix="grpc-refusing")

    @property
    def others_wait(self) -> bool:
        """Whether calls wait for a thread."""
        return self._calls > self._running

    def service(
        self, name: str, export: Behavior, refuse: Callable[[grpc.ServicerContext], NoReturn]
    ) -> grpc.GenericRpcHandler[Any, Any]:
        """A service of the one method Export, within the limit; `refuse` answers beyond it."""
        taken = grpc.stream_unary_rpc_method_handler(self._counted(export))
        refused = grpc.stream_unary_rpc_method_handler(_Refusing(refuse, self._refusing))
        return _Service(f"/{name}/Export", lambda: taken if self._enter() else refused)

    def close(self) -> None:
        """Let go of the thread."""
        self._refusing.shutdown(wait=False)

    def _enter(self) -> bool:
        with self._lock:
            if self._calls >= self._most:
                return False
            self._calls += 1
            return True

    def _counted(self, export: Behavior) -> Behavior:
        def counted(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            try:
                return export(messages, context)
            finally:
                with self._lock:
                    self._calls -= 1

        return counted


if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[Any, Any]
else:
    _Handler = grpc.GenericRpcHandler  # generic in its stubs alone


class _Service(_Handler):
    """Asked by the server for each call, in the order in which they come."""

    def __init__(self, method: str, handler: Callable[[], grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._method: Final = method
        self._handler = handler

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's handler, or None where it is another service's."""
        return self._handler() if handler_call_details.method == self._method else None


class _Refusing:
    """A method that answers without reading; grpcio looks for its thread at this attribute."""

    def __init__(
        self, refuse: Callable[[grpc.ServicerContext], NoReturn], pool: ThreadPoolExecutor
    ) -> None:
        self.experimental_thread_pool = pool
        self._refuse = refuse

    def __call__(self, _messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Refuse one call."""
        self._refuse(context)
