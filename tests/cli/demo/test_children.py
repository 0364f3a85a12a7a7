from __future__ import annotations

import os
import sys
from pathlib import Path

from spanmill.cli.demo import children
from spanmill.clock import SystemClock

DEADLINE = 60.0

WAITS_FOR_ITS_LIFELINE = "import sys; sys.stdin.read()"
HEEDS_NOTHING = "import time\nwhile True: time.sleep(60)"


def start(directory: Path, name: str, code: str) -> children.Child:
    return children.start(
        name, [sys.executable, "-c", code], directory=directory, environ=os.environ
    )


def test_a_child_ends_when_it_is_let_go(tmp_path: Path) -> None:
    child = start(tmp_path, "cart", WAITS_FOR_ITS_LIFELINE)
    assert child.obituary() is None
    assert children.stop([child], DEADLINE, SystemClock()) == []
    assert child.process.returncode == 0


def test_a_child_that_does_not_end_in_time_is_killed_and_named(tmp_path: Path) -> None:
    pair = [start(tmp_path, "cart", WAITS_FOR_ITS_LIFELINE), start(tmp_path, "mule", HEEDS_NOTHING)]
    pair[0].let_go()
    pair[0].process.wait(DEADLINE)
    assert children.stop(pair, 0.0, SystemClock()) == ["mule"]
    assert pair[1].process.poll() is not None


def test_the_obituary_has_the_exit_code_and_the_logs_last_lines(tmp_path: Path) -> None:
    child = start(tmp_path, "cart", "import sys; print('one\\n\\ntwo\\nthree'); sys.exit(3)")
    child.process.wait(DEADLINE)
    assert child.obituary() == "cart ended with exit code 3: two | three"
    child.let_go()


def test_the_obituary_of_a_killed_child_names_the_signal(tmp_path: Path) -> None:
    child = start(tmp_path, "cart", HEEDS_NOTHING)
    child.process.kill()
    child.process.wait(DEADLINE)
    assert child.obituary() == "cart was killed by signal 9: it said nothing"
    child.let_go()


def test_a_child_that_is_gone_can_still_be_told_something_and_let_go(tmp_path: Path) -> None:
    child = start(tmp_path, "cart", "pass")
    child.process.wait(DEADLINE)
    child.tell("fail")
    child.tell("recover")
    child.let_go()
    child.tell("fail")
    assert child.process.returncode == 0
