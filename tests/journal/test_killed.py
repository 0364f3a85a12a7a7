"""A process that is killed: what it acknowledged is there, whether it was synced or written."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from journal.on_disk import Disk, replayed
from spanmill.testing import ManualClock

TIMEOUT = 60.0

# Submits numbered records from four threads, and says each number once it was acknowledged.
PROGRAM = """
import os, sys, threading
from pathlib import Path
from spanmill.clock import SystemClock
from spanmill.journal.disk import DiskJournal, DiskSettings
from spanmill.journal.log import Entry, Signal
directory, durability, begin = sys.argv[1:]
journal = DiskJournal(
    DiskSettings(Path(directory), durability, 1 << 30, 3600.0, 65536),
    SystemClock(), threading.RLock(), None, version="1",
)
journal.open()
journal.start(lambda record: None)
def submit(thread):
    for number in range(int(begin), 1 << 60):
        payload = b"%d/%d" % (thread, number)
        journal.submit(Entry(payload.ljust(700, b" "), Signal.TRACES, "me", 1, None)).result()
        os.write(1, payload + b"\\n")
for thread in range(4):
    threading.Thread(target=submit, args=(thread,)).start()
"""


@pytest.mark.parametrize("durability", ["synced", "written"])
def test_what_was_acknowledged_survives_being_killed_again_and_again(
    tmp_path: Path, clock: ManualClock, durability: str
) -> None:
    directory = tmp_path / "state"
    acknowledged: list[bytes] = []
    dice = random.Random(7)
    for round_ in range(5):
        begin = str(1_000_000 * round_)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(directory), durability, begin],
            stdout=subprocess.PIPE,
        )
        guard = threading.Timer(TIMEOUT, process.kill)
        guard.start()
        assert process.stdout is not None
        wanted = len(acknowledged) + dice.randrange(1, 400)
        for line in process.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) == wanted:
                process.send_signal(signal.SIGKILL)
        guard.cancel()
        assert process.wait(TIMEOUT) == -signal.SIGKILL
        assert len(acknowledged) >= wanted
    journal = Disk(directory, clock).opened()
    payloads = [(record.payload or b"").strip() for record in replayed(journal)]
    assert journal.damaged_records == 0
    assert len(set(payloads)) == len(payloads)
    assert set(acknowledged) <= set(payloads)
    assert len(payloads) <= len(acknowledged) + 4 * 5, "one more of each thread at each kill"
    for thread in range(4):
        numbers = [int(p.split(b"/")[1]) for p in payloads if p.startswith(b"%d/" % thread)]
        assert numbers == sorted(numbers)
