"""The disk under the state directory: is there room for all that the journal may take?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spanmill.cli.doctor.finding import Finding, fail, ok, warn
from spanmill.cli.doctor.samples import Samples
from spanmill.config.state import StateConfig

_MIB: Final = 1 << 20


def check_disk(samples: Samples, state: StateConfig, base: Path) -> Iterator[Finding]:
    """What this machine sees of it; a relative directory is one of `base`."""
    if state.durability == "memory":
        yield ok("state", "durability: memory keeps nothing on disk")
        return
    directory = base / state.directory
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        yield warn(
            "disk",
            f"{directory}: {(error.strerror or str(error)).lower()}",
            "call the doctor on the same machine and in the same folder as the process",
        )
        return
    journal = samples.value("spanmill_journal_bytes") or 0.0
    text = (
        f"{free / _MIB:,.0f} MiB are free, and the journal may grow by "
        f"{max(0.0, state.max_bytes - journal) / _MIB:,.0f} MiB"
    )
    if free < 2 * state.segment_bytes:
        yield fail("disk", text, "make room: when the disk is full, requests are refused")
    elif free + journal < state.max_bytes:
        yield warn("disk", text, "make room, or lower state.max_bytes to what there is for it")
    else:
        yield ok("disk", text)
