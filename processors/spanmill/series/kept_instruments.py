"""The instruments whose series a restart brings back."""

from __future__ import annotations

import logging
from typing import Final

from spanmill.journal.state import State
from spanmill.series.instruments import Counter, Gauge, Histogram
from spanmill.series.state_reader import VERSION, StateReader

_log = logging.getLogger(__name__)

_VERSION: Final = 1

Instrument = Counter | Gauge | Histogram


class KeptInstruments:
    """A part of what is kept: the values and created stamps of instruments, by family and labels.

    Each family stands for itself: one that isn't declared any more, or with other labels or
    buckets, is left out with a note, so that the others go on over an upgrade.
    """

    def __init__(self) -> None:
        self._instruments: dict[str, Instrument] = {}

    def add(self, instrument: Instrument) -> None:
        """Keep the series of an instrument too."""
        self._instruments[instrument.family.name] = instrument

    def state(self) -> State:
        """A copy of all series."""
        families = {name: instrument.state() for name, instrument in self._instruments.items()}
        return {VERSION: _VERSION, "families": families}

    def restore(self, state: State) -> None:
        """Take over what fits; raises CheckpointError, and changes nothing, where it is damaged."""
        reader = StateReader("instruments", state)
        reader.version(_VERSION)
        families = reader.part("families")
        restores = []
        for name in families.names():
            kept = StateReader(name, families.value(name))
            instrument = self._instruments.get(name)
            if instrument is None or not kept.has("form", instrument.form()):
                why = "is not there any more" if instrument is None else "has another form"
                _log.warning(
                    "a metric of the kept state begins anew", extra={"metric": name, "reason": why}
                )
                continue
            restores.append(instrument.restoring(kept))
        for restore in restores:
            restore()
