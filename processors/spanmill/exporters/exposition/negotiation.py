"""Which format and which compression a client gets (RFC 9110, section 12.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spanmill.exporters.exposition.formats import Format

_CONSIDERED_BYTES: Final = 4096
"""Prometheus sends 300 bytes; what stands beyond these is not worth the time."""

_ESCAPINGS: Final = frozenset({"allow-utf-8", "underscores", "dots", "values"})

_OFFERS: Final[tuple[tuple[Format, str, dict[str, str]], ...]] = (
    (Format.TEXT, "text/plain", {"version": "0.0.4"}),
    (Format.OPENMETRICS, "application/openmetrics-text", {"version": "1.0.0"}),
    (Format.OPENMETRICS_0_0_1, "application/openmetrics-text", {"version": "0.0.1"}),
    (
        Format.PROTOBUF,
        "application/vnd.google.protobuf",
        {"proto": "io.prometheus.client.MetricFamily", "encoding": "delimited"},
    ),
)
"""What there is, the preferred first, with the parameters that tell one from another."""

_REQUIRED: Final = frozenset({"proto", "encoding"})
"""Without these a protobuf range means another message, or another way to write it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The format of an answer, and what its Content-Type says."""

    format: Format
    content_type: str


@dataclass(frozen=True, slots=True)
class _Range:
    """One element of an Accept header; the smaller its `position`, the earlier it stands."""

    media_type: str
    parameters: dict[str, str]
    quality: float
    position: int

    def specificity(self, media_type: str, offered: dict[str, str]) -> int:
        """How closely this describes an offer; 0 where it doesn't."""
        if self.media_type == "*/*":
            return 1
        if self.media_type == media_type.partition("/")[0] + "/*":
            return 2
        if self.media_type != media_type:
            return 0
        for name, value in offered.items():
            if name not in self.parameters and name in _REQUIRED:
                return 0
            if self.parameters.get(name, value) != value:
                return 0
        return 3 + sum(name in self.parameters for name in offered)


def negotiate(accept: str) -> Choice:
    """Choose a format for this Accept header; text 0.0.4 where nothing else is asked for.

    The escaping scheme that a client names is confirmed as it stands: our names have only
    characters that every scheme leaves alone.
    """
    ranges = list(_ranges(accept))
    best: tuple[float, int] = (0.0, 0)
    chosen, because = Format.TEXT, None
    for form, media_type, parameters in _OFFERS:
        matching = [(r.specificity(media_type, parameters), r) for r in ranges]
        specificity, match = max(matching, key=lambda pair: pair[0], default=(0, None))
        if match is None or not specificity:
            continue
        rank = (match.quality, -match.position)
        if match.quality > 0 and (because is None or rank > best):
            best, chosen, because = rank, form, match
    escaping = because.parameters.get("escaping") if because is not None else None
    suffix = f"; escaping={escaping}" if escaping in _ESCAPINGS else ""
    return Choice(chosen, chosen.value + suffix)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether this Accept-Encoding header allows gzip."""
    wildcard = False
    for coding in _ranges(accept_encoding):
        if coding.media_type in {"gzip", "x-gzip"}:
            return coding.quality > 0
        if coding.media_type == "*":
            wildcard = coding.quality > 0
    return wildcard


def _ranges(header: str) -> Iterator[_Range]:
    """The readable elements of a header; what can't be read is passed over."""
    for position, element in enumerate(header[:_CONSIDERED_BYTES].split(",")):
        name, *rest = element.split(";")
        pairs = (parameter.partition("=") for parameter in rest)
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        quality = _quality(parameters.pop("q", "1"))
        if quality is not None and name.strip():
            yield _Range(name.strip().lower(), parameters, quality, position)


def _quality(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if 0 <= quality <= 1 else None
