"""A child process that ends when its parent does, by a pipe on its standard input.

The parent holds the writing end. When the parent dies, however it dies, the pipe closes, and the
child ends itself. That needs no signal, and it works on every POSIX system.

`python -m spanmill.cli.demo.lifeline MODULE ARGUMENT…` runs a module under this watch.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable

STDIN = 0
GRACE = 8.0  # seconds between the request to end and the hard end


def watch(
    on_close: Callable[[], None],
    on_line: Callable[[str], None] = lambda _: None,
    descriptor: int = STDIN,
    exit_hard: Callable[[int], object] = os._exit,
) -> threading.Thread:
    """Call `on_line` for each line that arrives, and `on_close` once the pipe is closed.

    Both are called in a daemon thread. If the process is still there `GRACE` seconds after
    `on_close`, `exit_hard` is called with the exit code 1.
    """
    thread = threading.Thread(
        target=_read, args=(descriptor, on_line, on_close, exit_hard), name="lifeline", daemon=True
    )
    thread.start()
    return thread


def _read(
    descriptor: int,
    on_line: Callable[[str], None],
    on_close: Callable[[], None],
    exit_hard: Callable[[int], object],
) -> None:
    pending = b""
    # os.read, as a buffered reader's lock held by a daemon thread aborts the interpreter's exit.
    while chunk := os.read(descriptor, 4096):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode("utf-8", "replace"))
    end = threading.Timer(GRACE, exit_hard, args=(1,))
    end.daemon = True
    end.start()
    on_close()


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str]) -> None:
    """Run the module `arguments[0]` with the rest as its arguments, watching standard input."""
    watch(_terminate)
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
