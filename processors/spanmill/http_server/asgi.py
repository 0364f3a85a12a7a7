"""ASGI's types, as far as HTTP needs them: asgiref, which defines them, is no dependency."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Any, so that an application may name these types in its own way.
App = Callable[[Any, Any, Any], Awaitable[None]]
