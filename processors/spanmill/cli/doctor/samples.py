"""spanmill's own metrics out of a scrape in text form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

OWN: Final = (b"spanmill_", b"process_")
"""Beginnings of the names that are read."""

_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Samples:
    """Values by name, each with its labels."""

    by_name: Mapping[str, list[tuple[Labels, float]]]

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Samples:
        """From lines of the text format 0.0.4; what isn't a sample is passed over."""
        found: dict[str, list[tuple[Labels, float]]] = {}
        for line in lines:
            series, _, value = line.decode(errors="replace").rpartition(" ")
            name, _, labels = series.partition("{")
            try:
                number = float(value)
            except ValueError:
                continue
            pairs = {key: _unescaped(text) for key, text in _LABEL.findall(labels)}
            found.setdefault(name, []).append((pairs, number))
        return cls(found)

    def each(self, name: str, **wanted: str) -> Iterator[tuple[Labels, float]]:
        """The samples of this name that have these labels."""
        for labels, value in self.by_name.get(name, ()):
            if all(labels.get(key) == text for key, text in wanted.items()):
                yield labels, value

    def sum(self, name: str, **wanted: str) -> float:
        """Their sum, 0 where there are none."""
        return sum(value for _, value in self.each(name, **wanted))

    def value(self, name: str, **wanted: str) -> float | None:
        """The first of them; None where there is none."""
        return next((value for _, value in self.each(name, **wanted)), None)

    def label(self, name: str, label: str) -> str | None:
        """This label of the first sample; None where there is none."""
        return next((labels.get(label) for labels, _ in self.each(name)), None)

    def values_of(self, name: str, label: str) -> list[str]:
        """The different values of a label, sorted."""
        return sorted({labels[label] for labels, _ in self.each(name) if label in labels})


def _unescaped(text: str) -> str:
    return re.sub(r'\\[n"\\]', lambda found: _ESCAPES[found[0]], text)
