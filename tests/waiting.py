"""Waiting for what another thread or process does."""

from __future__ import annotations

from collections.abc import Callable

Eventually = Callable[[Callable[[], object], str], None]
"""Waits until a condition holds; the text says what did not come true in time."""
