"""What the disk itself takes for a write that is on it, where the journals are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import numpy as np

from spanmill.errors import StartError

WRITE_BYTES: Final = 140_000
"""A request of 512 recorded spans."""
_WRITES: Final = 200


@dataclass(slots=True)
class Disk:
    """Seconds of write + fdatasync, over all looks of a run."""

    seconds: list[float] = field(default_factory=list)

    def look(self, folder: Path) -> None:
        """Write so many times into space that is allocated already, as the journal does."""
        content = os.urandom(WRITE_BYTES)
        try:
            with NamedTemporaryFile(dir=folder) as file:
                number = file.fileno()
                os.posix_fallocate(number, 0, WRITE_BYTES * _WRITES)
                os.fsync(number)
                for write in range(_WRITES):
                    begun = time.perf_counter()
                    os.pwrite(number, content, write * WRITE_BYTES)
                    os.fdatasync(number)
                    self.seconds.append(time.perf_counter() - begun)
        except OSError as error:
            raise StartError(f"{folder}: {error.strerror}") from error

    def percentile(self, percent: float) -> float:
        """Seconds."""
        return float(np.percentile(self.seconds, percent)) if self.seconds else 0.0
