"""Sample lines, which the text format and OpenMetrics have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from spanmill.exporters.exposition.histograms import cumulative_counts
from spanmill.exporters.exposition.label_cache import LabelCache
from spanmill.exporters.exposition.numbers import bound_text, number_texts
from spanmill.series.snapshot import (
    OVERFLOW_LABELS,
    FamilySnapshot,
    Histograms,
    LabelValues,
    Summaries,
)

_SERIES_AT_A_TIME: Final = 256
OVERFLOW_TEXT: Final = ",".join(f'{name}="{value}"' for name, value in OVERFLOW_LABELS)
_LABELS_GO_HERE: Final = "\0"  # can't be in a metric's name, nor in a bound

Suffixes = Mapping[int, Mapping[int, str]]
"""What follows the value on some lines, by the position of the series and of the line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of every series in a family: its name, and the label that it adds ("").

    A line that is not `always` there is left out where its value is NaN.
    """

    name: str
    own_label: str = ""
    always: bool = True

    def frames(self) -> tuple[str, str, str]:
        """What comes before and after the labels of a series, and where it has none.

        The value follows.
        """
        between = f",{self.own_label}}} " if self.own_label else "} "
        bare = f"{self.name}{{{self.own_label}}} " if self.own_label else f"{self.name} "
        return f"{self.name}{{", between, bare


class LineWriter(Protocol):
    """What writes the series of a family."""

    def write(
        self,
        lines: Sequence[Sample],
        snapshot: FamilySnapshot,
        values: npt.NDArray[np.float64],
        suffixes: Suffixes | None = None,
    ) -> Iterator[bytes]:
        """All lines of each series; `values` is (series, lines)."""
        ...


class ReferenceLines:
    """Writes sample lines, where there is no kernel."""

    def __init__(self) -> None:
        self._labels = LabelTexts()

    def write(
        self,
        lines: Sequence[Sample],
        snapshot: FamilySnapshot,
        values: npt.NDArray[np.float64],
        suffixes: Suffixes | None = None,
    ) -> Iterator[bytes]:
        """All lines of each series; `values` is (series, lines)."""
        texts = series_lines(lines, self._labels.of(snapshot), values, suffixes)
        return (text.encode() for text in texts)


class LabelTexts:
    """The labels of series as text, made once for the families that share label sets."""

    def __init__(self) -> None:
        self._escaped: LabelCache[str, str] = LabelCache()
        self._names: tuple[str, ...] = ()
        self._known: LabelCache[LabelValues | None, str] = LabelCache()

    def of(self, snapshot: FamilySnapshot) -> Iterator[str]:
        """The labels of each series, as `a="1",b="2"`."""
        names = snapshot.label_names
        if names != self._names:
            self._names, self._known = names, LabelCache()
        known = self._known
        pattern = ",".join(f'{name}="%s"' for name in names)
        for values in snapshot.labels:
            text = known.get(values)
            yield known.add(values, self._text(names, values, pattern)) if text is None else text

    def _text(self, names: tuple[str, ...], values: LabelValues | None, pattern: str) -> str:
        if values is None:
            return OVERFLOW_TEXT
        if all(values):
            return pattern % tuple([self._quoted(value) for value in values])
        pairs = zip(names, values, strict=True)
        return ",".join(f'{name}="{self._quoted(value)}"' for name, value in pairs if value)

    def _quoted(self, value: str) -> str:
        escaped = self._escaped.get(value)
        return self._escaped.add(value, escape_quoted(value)) if escaped is None else escaped


def escape_quoted(value: str) -> str:
    """Escape what stands between quotation marks, in both formats."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def samples(snapshot: FamilySnapshot) -> list[Sample]:
    """The lines that a series of this family has in both formats."""
    name, data = snapshot.family.name, snapshot.data
    if isinstance(data, Histograms):
        bounds = (*data.bounds, math.inf)
        own = [Sample(f"{name}_bucket", f'le="{bound_text(bound)}"') for bound in bounds]
    elif isinstance(data, Summaries):
        own = [Sample(name, f'quantile="{bound_text(q)}"') for q in data.quantiles]
    else:
        return [Sample(name)]
    return [*own, Sample(f"{name}_sum", always=False), Sample(f"{name}_count", always=False)]


def sample_values(snapshot: FamilySnapshot) -> npt.NDArray[np.float64]:
    """What stands on the lines of `samples`: float64 (series, lines)."""
    data = snapshot.data
    if isinstance(data, Histograms):
        return np.column_stack((cumulative_counts(data), data.sums, data.counts))
    if isinstance(data, Summaries):
        return np.column_stack((data.values, data.sums, data.counts))
    return data.values[:, np.newaxis]


def series_lines(
    lines: Sequence[Sample],
    labels: Iterator[str],
    values: npt.NDArray[np.float64],
    suffixes: Suffixes | None = None,
) -> Iterator[str]:
    """All lines of each series; `values` is (series, lines)."""
    labelled = "".join(_pattern(line, _LABELS_GO_HERE) for line in lines)
    bare = "".join(_pattern(line, "") for line in lines)
    width = len(lines)
    incomplete = _incomplete(lines, values)
    for begin in range(0, len(values), _SERIES_AT_A_TIME):
        block = values[begin : begin + _SERIES_AT_A_TIME]
        texts = number_texts(block.ravel().tolist())
        for i, label_text in enumerate(islice(labels, _SERIES_AT_A_TIME)):
            numbers = tuple(texts[i * width : (i + 1) * width])
            suffix = suffixes.get(begin + i) if suffixes else None
            if begin + i in incomplete:
                yield _line_by_line(lines, label_text, numbers, suffix or {})
            elif suffix:
                # The labels first: what follows a value may hold any character.
                pattern = labelled.replace(_LABELS_GO_HERE, label_text.replace("%", "%%"))
                values_and_more = [text + suffix.get(k, "") for k, text in enumerate(numbers)]
                yield (pattern if label_text else bare) % tuple(values_and_more)
            elif label_text:
                yield (labelled % numbers).replace(_LABELS_GO_HERE, label_text)
            else:
                yield bare % numbers


def _incomplete(lines: Sequence[Sample], values: npt.NDArray[np.float64]) -> set[int]:
    """The positions of series that some lines are left out of."""
    optional = [position for position, line in enumerate(lines) if not line.always]
    return set(np.flatnonzero(np.isnan(values[:, optional]).any(axis=1)).tolist())


def _line_by_line(
    lines: Sequence[Sample], labels: str, numbers: Sequence[str], suffixes: Mapping[int, str]
) -> str:
    return "".join(
        f"{line.name}{_inside(labels, line.own_label)} {number}{suffixes.get(position, '')}\n"
        for position, (line, number) in enumerate(zip(lines, numbers, strict=True))
        if line.always or number != "NaN"
    )


def _pattern(line: Sample, labels: str) -> str:
    return f"{line.name}{_inside(labels, line.own_label)} %s\n"


def _inside(labels: str, own_label: str) -> str:
    pairs = ",".join(part for part in (labels, own_label) if part)
    return f"{{{pairs}}}" if pairs else ""
