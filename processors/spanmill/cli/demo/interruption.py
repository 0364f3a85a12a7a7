"""The user's wish to end the demo: Ctrl-C, SIGTERM, or the terminal gone."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """A pipe that becomes readable for good once the end is wished.

    A signal handler may write to a pipe at any moment; setting a threading.Event there can
    deadlock with a wait for it.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def request(self) -> None:
        """Wish for the end."""
        os.write(self._writing, b".")

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; True as soon as the end is wished."""
        readable, _, _ = select.select([self._reading], [], [], max(0.0, seconds))
        return bool(readable)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._reading)
        os.close(self._writing)


@contextmanager
def interrupted_by_signals() -> Iterator[Interruption]:
    """An interruption that the usual signals request. Only in the main thread."""
    interruption = Interruption()

    def handle(_number: int, _frame: FrameType | None) -> None:
        interruption.request()

    # One that is ignored (SIGHUP under nohup) stays so.
    taken = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in taken}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        interruption.close()
