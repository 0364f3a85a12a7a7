from __future__ import annotations

import os
import signal
import subprocess
import sys
from queue import Queue

from spanmill.cli.demo import lifeline

DEADLINE = 60.0


def test_lines_arrive_one_by_one_and_then_the_end() -> None:
    heard: Queue[object] = Queue()
    reading, writing = os.pipe()
    thread = lifeline.watch(lambda: heard.put("(closed)"), heard.put, reading, heard.put)
    os.write(writing, b"fail\nrec")
    assert heard.get(timeout=DEADLINE) == "fail"
    os.write(writing, b"over\n")
    assert heard.get(timeout=DEADLINE) == "recover"
    os.close(writing)
    assert heard.get(timeout=DEADLINE) == "(closed)"
    thread.join(DEADLINE)
    os.close(reading)


def test_a_module_runs_as_the_main_one_with_its_arguments_and_its_exit_code() -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", lifeline.__name__, "calendar"]
    good, bad = (
        subprocess.run(
            [*command, *arguments],
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        for arguments in (["2000", "1"], ["no-year"])
    )
    os.close(reading)
    os.close(writing)
    assert "January 2000" in good.stdout
    assert (good.returncode, bad.returncode) == (0, 2)


def test_a_module_is_ended_by_a_signal_when_the_pipe_closes() -> None:
    # http.server runs until it is ended.
    process = subprocess.Popen(
        [sys.executable, "-m", lifeline.__name__, "http.server", "--bind", "127.0.0.1", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(DEADLINE) == -signal.SIGTERM
