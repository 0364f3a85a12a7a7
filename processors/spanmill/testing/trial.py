"""A processor under test, with a registry of its own."""

from __future__ import annotations

import io
import math
import pickle
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from spanmill.errors import CheckpointError, SpanmillError
from spanmill.journal.state import decode_state, encode_state
from spanmill.processors.hosted import HostedProcessor
from spanmill.processors.instruments import Counter, Gauge, Histogram
from spanmill.processors.interface import Keeps, Processor
from spanmill.processors.metrics import Metrics
from spanmill.processors.own import shape_problem
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot, Histograms, Values
from spanmill.spans.batch import AttributeValue, Coded, SpanBatch
from spanmill.testing.fakes import ManualClock, Span, batch_of

Make = Callable[[Metrics], Processor]
Series = tuple[str, tuple[tuple[str, str], ...]]
State = dict[Series, tuple[float, ...]]
"""The figures of each series, by family and labels."""

NOW: Final = 1_750_000_000 * 10**9
IDLE_TIMEOUT_NS: Final = 900 * 10**9
MANY: Final = 1_000_000

_TOLERANCE: Final = 1e-9


class ContractError(AssertionError):
    """A processor breaks the contract; the message says how, and what to do."""


class Trial:
    """One processor, fed by hand."""

    def __init__(self, make: Make, max_series: int = MANY) -> None:
        self.registry = Registry(ManualClock(NOW))
        metrics = Metrics(self.registry, "checked", max_series, IDLE_TIMEOUT_NS)
        try:
            processor = make(metrics)
        except Exception as fault:  # noqa: BLE001 - an author's constructor may raise anything
            _fail("can't be made", fault)
        metrics.close()
        problem = shape_problem(processor, metrics)
        if problem is not None:
            raise ContractError(f"{type(processor).__name__} {problem}")
        self.processor = processor
        self.attributes = processor.attributes
        self._hosted = HostedProcessor(processor, metrics)
        kept: Collection[object] = self.registry.kept().values()
        if processor not in kept:  # as a built-in one is, under its own name
            self.registry.keep("own.checked", self._hosted)

    def batch(self, spans: Sequence[Span], at: int = NOW) -> SpanBatch:
        """These spans, with the columns that the processor declares and no others."""
        made = batch_of(spans, self.attributes, at)
        declared = _Declared(made.attributes)
        return type(made)(**{**_fields(made), "attributes": declared})

    def observe(self, batch: SpanBatch, what: str = "ordinary spans") -> None:
        """Let it observe; ContractError where it raises."""
        try:
            self._hosted.observe(batch)
        except ContractError:
            raise
        except ValueError as fault:
            if "read-only" in str(fault):
                _fail("writes into the arrays of the batch, which others read: make a copy", fault)
            _fail(f"fails on {what}", fault)
        except Exception as fault:  # noqa: BLE001 - an author's code may raise anything
            _fail(f"fails on {what}", fault)

    def tick(self, now_ns: int, what: str) -> None:
        """Let time pass; ContractError where it raises."""
        try:
            self._hosted.tick(now_ns)
        except Exception as fault:  # noqa: BLE001 - an author's code may raise anything
            _fail(f"fails at a tick {what}", fault)

    def sums(self) -> State:
        """The figures of counters and histograms, which must add up."""
        return dict(self._figures(lambda family: family.family.type != "gauge"))

    def figures(self) -> State:
        """Those of gauges too."""
        return dict(self._figures(lambda _: True))

    def returned_state(self) -> dict[str, Any]:
        """What its own `state` returns, empty without one; ContractError where it can't be kept."""
        if not isinstance(self.processor, Keeps):
            return {}
        try:
            state = self.processor.state()
        except Exception as fault:  # noqa: BLE001 - an author's code may raise anything
            _fail("fails in state()", fault)
        try:
            decode_state(encode_state(state))
        except Exception as fault:  # noqa: BLE001 - whatever an author returns may raise anything
            _fail(
                "returns from state() what can't be written and read again: return a dict of None, "
                "numbers, texts, bytes, lists, dicts with texts as keys, and arrays of numbers",
                fault,
            )
        return state

    def kept_parts(self) -> dict[str, bytes]:
        """All that a checkpoint has of it and of its metrics."""
        return {name: encode_state(part.state()) for name, part in self.registry.kept().items()}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Go on from what another one kept; ContractError where it refuses that."""
        for name, part in self.registry.kept().items():
            try:
                part.restore(decode_state(parts[name]))
            except CheckpointError as error:
                cause = error.__cause__
                _fail("refuses in restore() what state() has returned", cause or error)

    def kept_state(self) -> bytes:
        """What it keeps beside its metrics, pickled; ContractError where that can't be."""
        buffer = io.BytesIO()
        try:
            _StatePickler(buffer).dump(getattr(self.processor, "__dict__", {}))
        except Exception as fault:  # noqa: BLE001 - pickling raises all kinds
            _fail(
                "keeps something that a checkpoint can't hold: keep plain values (numbers, texts, "
                "lists, dicts, arrays)",
                fault,
            )
        return buffer.getvalue()

    def _figures(
        self, wanted: Callable[[FamilySnapshot], bool]
    ) -> Iterator[tuple[Series, tuple[float, ...]]]:
        for family in filter(wanted, self.registry.snapshot()):
            data = family.data
            for i, labels in enumerate(family.label_pairs()):
                if isinstance(data, Values):
                    figures: tuple[float, ...] = (float(data.values[i]),)
                else:
                    assert isinstance(data, Histograms), "nothing else can be declared"
                    figures = (*data.bucket_counts[i].tolist(), float(data.sums[i]))
                yield (family.family.name, labels), figures


def added(one: State, other: State) -> State:
    """Both together."""
    return {
        series: tuple(
            map(
                sum,
                zip(
                    one.get(series, (0.0,) * len(figures)),
                    other.get(series, (0.0,) * len(figures)),
                    strict=True,
                ),
            )
        )
        for series, figures in {**one, **other}.items()
    }


def difference(one: State, other: State) -> str | None:
    """The first series that differs, shown; None where none does."""
    for series in sorted({**one, **other}):
        a, b = one.get(series), other.get(series)
        if a is None or b is None:
            # A series at 0 and one that isn't there are the same sum.
            if not any(a or b or ()):
                continue
        elif all(math.isclose(x, y, rel_tol=_TOLERANCE) for x, y in zip(a, b, strict=True)):
            continue
        name, labels = series
        text = ", ".join(f'{label}="{value[:40]}"' for label, value in labels)
        return f"{name}{{{text}}} is {_shown(a)} and {_shown(b)}"
    return None


def _shown(figures: tuple[float, ...] | None) -> str:
    if figures is None:
        return "not there"
    return f"{figures[0]:g}" if len(figures) == 1 else f"{sum(figures[:-1]):g} observations"


def _fail(what: str, fault: BaseException) -> NoReturn:
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    own = next(
        (
            f
            for f in reversed(traceback.extract_tb(fault.__traceback__))
            if "/spanmill/" not in f.filename and "/numpy/" not in f.filename
        ),
        frame,
    )
    kind = "" if isinstance(fault, SpanmillError) else f"{type(fault).__name__}: "
    raise ContractError(f"{what} ({own.filename}:{own.lineno}: {kind}{fault})") from fault


def _fields(batch: SpanBatch) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in batch.__slots__}


class _Declared(dict[str, Coded[AttributeValue]]):
    """The declared columns; whoever asks for another one is told."""

    def __init__(self, columns: Mapping[str, Coded[AttributeValue]]) -> None:
        super().__init__(columns)

    def __missing__(self, key: str) -> NoReturn:
        raise ContractError(
            f"reads the column {key!r}, which it doesn't declare: add it to `attributes`, or it is "
            "there only where another processor happens to declare it"
        )

    def get(self, key: str, default: object = None) -> Any:  # noqa: ARG002 - as dict has it
        """As `[key]`."""
        return self[key]

    def __contains__(self, key: object) -> bool:
        return True if super().__contains__(key) else self.__missing__(str(key))


class _StatePickler(pickle.Pickler):
    """Leaves the metrics out: the registry keeps these."""

    def persistent_id(self, value: object) -> str | None:
        """A name for what isn't pickled."""
        return "metric" if isinstance(value, Metrics | Counter | Histogram | Gauge) else None
