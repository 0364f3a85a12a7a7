"""A processor that fails, or is slow, beside others that must go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from spanmill.series.registry import Registry
from spanmill.telemetry import Telemetry

_log = logging.getLogger(__name__)

_OBSERVE: Final = "observe"
_TICK: Final = "tick"
_FORGIVEN_BY_A_SUCCESS: Final = 0.1

Batch = TypeVar("Batch")
Taken = TypeVar("Taken")
Taken_contra = TypeVar("Taken_contra", contravariant=True)


class _Derives(Protocol[Taken_contra]):
    """A processor of spans, or of points."""

    def observe(self, batch: Taken_contra) -> None: ...

    def tick(self, now_ns: int) -> None: ...


class GuardedProcessor(Generic[Batch]):
    """Calls a processor, counts its faults and its time, and switches it off.

    A call that raises is counted in `spanmill_processor_errors_total`; the first is logged with
    its traceback. After `max_failures` batches that failed, or as many ticks, the processor is
    switched off: until the next start it is called no more, its series stand still and expire,
    and `spanmill_processor_up` is 0. Ten calls that succeed make one failure forgotten, so that
    neither one in two goes on for ever, nor one a day adds up. Without `max_failures` (the
    built-in ones) it is never switched off.
    """

    def __init__(
        self,
        name: str,
        processor: _Derives[Batch],
        telemetry: Telemetry,
        elapsed_ns: Callable[[], int],
        *,
        attributes: tuple[str, ...] = (),
        max_failures: int | None = None,
    ) -> None:
        self.name = name
        self.processor = processor
        self.attributes = attributes
        """The span attributes that it reads as columns."""
        self._errors = telemetry.processor_errors
        self._errors.add(0, name)  # so that rate() sees the first one
        self._max_failures = max_failures
        self._elapsed_ns = elapsed_ns
        self._failures = {_OBSERVE: 0.0, _TICK: 0.0}
        self._failed_before = False
        self.is_up = True
        """Whether it is still called."""
        self.used_ns = 0
        """How long its calls took together, nanoseconds."""

    def observe(self, batch: Batch) -> bool:
        """Let it take a batch into account; False where it failed or is off."""
        return self._call(_OBSERVE, self.processor.observe, batch)

    def tick(self, now_ns: int) -> bool:
        """Let it do what time makes due; False where it failed or is off."""
        return self._call(_TICK, self.processor.tick, now_ns)

    def _call(self, call: str, work: Callable[[Taken], None], taken: Taken) -> bool:
        if not self.is_up:
            return False
        begun = self._elapsed_ns()
        try:
            work(taken)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - must lose no spans of others
            self._note(fault, call)
            return False
        finally:
            self.used_ns += self._elapsed_ns() - begun
        if self._failures[call]:
            self._forgive(call)
        return True

    def _forgive(self, call: str) -> None:
        self._failures[call] = max(0.0, self._failures[call] - _FORGIVEN_BY_A_SUCCESS)

    def _note(self, fault: BaseException, call: str) -> None:
        self._errors.add(1, self.name)
        self._failures[call] += 1
        if not self._failed_before:
            self._failed_before = True
            _log.error(
                "a processor failed",
                extra={"processor": self.name, "call": call},
                exc_info=(type(fault), fault, fault.__traceback__),
            )
        if self._max_failures is not None and self._failures[call] >= self._max_failures:
            self.is_up = False
            _log.error(
                "a processor is switched off until the next start: it failed too often",
                extra={
                    "processor": self.name,
                    "call": call,
                    "failures": round(self._failures[call]),
                    "last_error": f"{type(fault).__name__}: {fault}"[:500],
                },
            )


def show_processors(registry: Registry, guards: Sequence[GuardedProcessor[Any]]) -> None:
    """Show which processors run, and the time that each takes."""
    up = registry.gauge(
        "spanmill_processor_up",
        "1 where a processor runs; 0 where it was switched off since it failed too often.",
        ("processor",),
    )
    took = registry.counter(
        "spanmill_processor_seconds_total",
        "How long a processor's calls took, with their waits for other threads.",
        ("processor",),
    )
    shown = dict.fromkeys((guard.name for guard in guards), 0)

    def refresh() -> None:
        for guard in guards:
            up.set(float(guard.is_up), guard.name)
            took.add((guard.used_ns - shown[guard.name]) / 1e9, guard.name)
            shown[guard.name] = guard.used_ns

    registry.before_snapshot(refresh)
