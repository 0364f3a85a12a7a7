"""What has been derived so far, saved now and then, and brought back at a start."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spanmill.clock import Clock
from spanmill.errors import CheckpointError
from spanmill.journal.checkpoint_files import CheckpointFiles
from spanmill.journal.checkpoint_format import Checkpoint, encode_checkpoint
from spanmill.journal.state import State
from spanmill.series.registry import Registry

_log = logging.getLogger(__name__)

BEFORE_ALL: Final = -1
"""The position of a state in which no record was applied yet."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest checkpoint: up to which record, when (Unix ns), its bytes and seconds.

    `held_seconds` is how long nothing could be received meanwhile. Both are 0 for one that was
    restored: it cost this process nothing.
    """

    position: int
    time_ns: int
    size: int
    seconds: float
    held_seconds: float


class Checkpoints:
    """Saves the kept parts of a registry with the position of the last record that they know.

    A checkpoint and the records after it are the state, exactly. The two newest are kept, and
    the journal keeps what came after the older one, so that one damaged file loses nothing.
    """

    def __init__(
        self, registry: Registry, files: CheckpointFiles, version: str, clock: Clock
    ) -> None:
        self._registry = registry
        self._files = files
        self._version = version
        self._clock = clock
        self._position = BEFORE_ALL
        self._arrival_ns = 0
        self.saved: Saved | None = None
        """The newest one, whether this process wrote or restored it."""
        self._failing = False

    def applied(self, position: int, arrival_ns: int) -> None:
        """The record at this position was applied; called under the registry's lock."""
        self._position = position
        self._arrival_ns = arrival_ns

    def restore(self) -> int:
        """Bring back the newest state that is whole; returns its position, or BEFORE_ALL.

        A part that its checkpoint doesn't fit (its labels have changed, say) begins anew.
        """
        for path in self._files.newest_first():
            try:
                checkpoint = self._files.read(path)
            except CheckpointError as error:
                aside = self._files.set_aside(path)
                _log.warning(
                    "a checkpoint can't be used and is set aside",
                    extra={"file": str(path), "moved_to": str(aside), "reason": str(error)},
                )
                continue
            self._restore_parts(checkpoint)
            self._position, self._arrival_ns = checkpoint.position, checkpoint.arrival_ns
            self.saved = Saved(
                position=checkpoint.position,
                time_ns=checkpoint.time_ns,
                size=checkpoint.size,
                seconds=0.0,
                held_seconds=0.0,
            )
            return checkpoint.position
        return BEFORE_ALL

    @property
    def needed_after(self) -> int:
        """The position after which a start may need the records, whichever file it takes."""
        return self._files.oldest()

    def save(self) -> bool:
        """Write a checkpoint; False where it can't be written, and those before stay then.

        The log says why. Where no record came since the newest one there is nothing to do.
        """
        begun = self._clock.monotonic()
        try:
            with self._registry.lock:
                position, arrival_ns = self._position, self._arrival_ns
                if position == (BEFORE_ALL if self.saved is None else self.saved.position):
                    return True
                states = deque((name, part.state()) for name, part in self._registry.kept().items())
                held = self._clock.monotonic() - begun
            time_ns = self._clock.time_ns()
            pieces = encode_checkpoint(
                self._version, position, arrival_ns, time_ns, _let_go(states)
            )
            self._files.write(position, pieces)
        except Exception as error:  # noqa: BLE001 - the records are there all the same
            self._failed(error)
            return False
        self._failing = False
        self.saved = Saved(
            position=position,
            time_ns=time_ns,
            size=sum(map(len, pieces)),
            seconds=self._clock.monotonic() - begun,
            held_seconds=held,
        )
        return True

    def _restore_parts(self, checkpoint: Checkpoint) -> None:
        states = dict(checkpoint.states)
        for name, part in self._registry.kept().items():
            state = states.pop(name, None)
            if state is None:
                _log.info("a part is not in the checkpoint and begins anew", extra={"part": name})
                continue
            try:
                part.restore(state)
            except CheckpointError as error:
                _log.warning(
                    "a part of the checkpoint can't be used and begins anew",
                    extra={"part": name, "reason": str(error), "written_by": checkpoint.spanmill},
                )
        for name in states:
            _log.info("a part of the checkpoint does not run any more", extra={"part": name})

    def _failed(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            level, trace = (logging.DEBUG if self._failing else logging.WARNING), False
        else:
            level, trace = logging.ERROR, not self._failing
        self._failing = True
        _log.log(
            level,
            "a checkpoint could not be written; a start would read more of the journal",
            extra={"reason": reason},
            exc_info=trace,
        )


def _let_go(states: deque[tuple[str, State]]) -> Iterator[tuple[str, State]]:
    while states:
        yield states.popleft()
