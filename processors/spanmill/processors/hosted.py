"""A processor of an author's own, with the metrics that it declared."""

from __future__ import annotations

import copy
import logging
from typing import Any, Final

from spanmill.errors import CheckpointError
from spanmill.journal.state import State, decode_state, encode_state
from spanmill.processors.interface import Keeps, Processor
from spanmill.processors.loading import described
from spanmill.processors.metrics import Metrics
from spanmill.processors.read_only import make_read_only
from spanmill.series.state_reader import VERSION, StateReader
from spanmill.spans.batch import SpanBatch

_log = logging.getLogger(__name__)

_FORM: Final = 1


class HostedProcessor:
    """Calls a processor with its metrics set to the moment of the batch or tick.

    The batch's arrays are made read-only first: a processor that wrote into them would change
    what the next ones see. What was added one by one is forgotten where the call fails.
    """

    def __init__(self, processor: Processor, metrics: Metrics) -> None:
        self.processor = processor
        self.metrics = metrics
        self.attributes = processor.attributes
        self._told = False

    def observe(self, batch: SpanBatch) -> None:
        """Let it take a batch into account."""
        make_read_only(batch)
        self.metrics.begin_call(batch.arrival_ns)
        done = False
        try:
            self.processor.observe(batch)
            done = True
        finally:
            self.metrics.end_call(keep=done)

    def tick(self, now_ns: int) -> None:
        """Let it do what time alone makes due."""
        self.metrics.begin_call(now_ns)
        done = False
        try:
            self.processor.tick(now_ns)
            done = True
        finally:
            self.metrics.end_call(keep=done)

    def state(self) -> State:
        """What it holds beside its label sets and their columns, which the registry keeps.

        The author's part is written at once: what `state` returned may be changed later.
        """
        return {VERSION: _FORM, "counted": self.metrics.counted(), "own": self._own_state()}

    def restore(self, state: State) -> None:
        """Go on where an earlier process was.

        Raises CheckpointError where the processor refuses its state: its attributes are then as
        its constructor made them.
        """
        reader = StateReader(f"the processor {self.metrics.processor}", state)
        reader.version(_FORM)
        counted, own = reader.values("counted"), reader.value("own")
        self.metrics.forget_waiting(counted)
        if own is None or not isinstance(self.processor, Keeps):
            return
        before = self._attributes()
        try:
            self.processor.restore(decode_state(own))
        except (Exception, SystemExit) as fault:  # an author's code, which may raise anything
            if before is not None:
                vars(self.processor).clear()
                vars(self.processor).update(before)
            raise CheckpointError(
                f"the processor {self.metrics.processor} refuses what it kept: {described(fault)}"
            ) from fault

    def _own_state(self) -> bytes | None:
        """What an author's `state` returned, written; None where there is none, or it raised."""
        if not isinstance(self.processor, Keeps):
            return None
        try:
            state = self.processor.state()
            if not isinstance(state, dict):
                raise TypeError(f"state() must return a dict; it returned a {type(state).__name__}")
            return encode_state(state)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - what others keep must be written
            level = logging.DEBUG if self._told else logging.ERROR
            self._told = True
            _log.log(
                level,
                "what a processor keeps can't be written; after a restart it would begin anew",
                extra={"processor": self.metrics.processor},
                exc_info=(type(fault), fault, fault.__traceback__),
            )
            return None

    def _attributes(self) -> dict[str, Any] | None:
        """A copy of the processor's attributes that shares its metrics; None where it has none."""
        if not hasattr(self.processor, "__dict__"):
            return None
        shared = (self.processor, self.metrics, *self.metrics.instruments())
        try:
            return copy.deepcopy(vars(self.processor), {id(part): part for part in shared})
        except Exception:  # noqa: BLE001 - an author's object may refuse in any way: half is better
            return dict(vars(self.processor))
