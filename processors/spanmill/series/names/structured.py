"""Values that are known by their form: addresses, dates, UUIDs, queries."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

_NOT_AFTER_WORD: Final = r"(?<![0-9A-Za-z])"
_NOT_BEFORE_WORD: Final = r"(?![0-9A-Za-z])"

_QUERY: Final = re.compile(r"(?<=[\w/}*.~%\])>:-])\?(?:[\w.%\[\]$~+-]+(?=[=&]|\s|\Z)|(?==))[^\s#]*")
_PAIRS: Final = re.compile(r"(?<![\w.&=-])[\w.-]+=[^&=\s]*(?:&[\w.\[\]%-]+=[^&=\s]*)+")
_MATRIX: Final = re.compile(r";([\w.-]+)=[^\s/;?#{]+")
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2}){3,}")
_JSON: Final = re.compile(r"(?:\{\s*\"[^\"]*\"\s*:|\[\s*\{\s*\").*", re.DOTALL)
_ARGUMENT: Final = re.compile(r"([:=]\s?)(?:\"[^\"]*\"|'[^']*')")
_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[\w.+-]+(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![\w-])"
)
_UUID: Final = re.compile(
    rf"{_NOT_AFTER_WORD}[0-9A-Fa-f]{{8}}([-_])[0-9A-Fa-f]{{4}}\1[0-9A-Fa-f]{{4}}\1[0-9A-Fa-f]{{4}}"
    rf"\1[0-9A-Fa-f]{{12}}{_NOT_BEFORE_WORD}"
)

_YEAR: Final = r"(?:19|20)\d\d"
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_CLOCK: Final = (
    r"[0-2]\d:?[0-5]\d(?::?[0-5]\d(?:[.,]\d{1,9})?)?(?:\s?Z|\s?(?:[+-]|%2B)[01]\d:?[0-5]\d)?"
)
_MONTH_NAME: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_WEEKDAY: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?\s)?"
_AFTER: Final = rf"(?:(?:T|\s|_|%20|-){_CLOCK})?(?!\d)"
_DATE: Final = re.compile(
    r"(?<!\d)(?:"
    rf"{_YEAR}([-_/.]){_MONTH}\1{_DAY}{_AFTER}"
    rf"|{_DAY}([-_/.]){_MONTH}\2{_YEAR}{_AFTER}|{_MONTH}([-_/.]){_DAY}\3{_YEAR}{_AFTER}"
    rf"|(?:199\d|20[0-3]\d){_MONTH}{_DAY}(?:[T_-]?[0-2]\d[0-5]\d(?:[0-5]\d(?:\d{{3}})?)?Z?)?(?![0-9A-Za-z])"
    rf"|{_YEAR}[-_]{_MONTH}(?![-_]?\d)|{_YEAR}[-_]?[WQ]\d{{1,2}}(?![0-9A-Za-z])"
    rf"|\d{{1,2}}[\s-]{_MONTH_NAME}[\s-]{_YEAR}(?:\s{_CLOCK}(?:\s[A-Z]{{3,4}}(?![A-Za-z]))?)?(?!\d)"
    r")"
    rf"|(?<![A-Za-z])(?:{_WEEKDAY}(?:\d{{1,2}}\s{_MONTH_NAME}|{_MONTH_NAME}\s{{1,2}}\d{{1,2}},?)"
    rf"(?:\s{_CLOCK})?(?:\s[A-Z]{{3,4}})?\s{_YEAR}(?:\s{_CLOCK}(?:\s[A-Z]{{3,4}}(?![A-Za-z]))?)?(?!\d))"
)
_TWO_DIGITS: Final = re.compile(r"\d\d")
_TIME: Final = re.compile(r"(?<![\w:.-])[0-2]?\d:[0-5]\d:[0-5]\d(?:[.,]\d{1,9})?Z?(?![\w:])")
_DURATION: Final = re.compile(
    r"(?<![\w.-])P(?=T?\d)(?:\d+[YMWD])*(?:T(?:\d+[HM])*(?:\d+(?:\.\d+)?S)?)?(?![\w.])"
)

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4: Final = re.compile(
    rf"(?<![\w.])(?<!\w-){_OCTET}(?:\.{_OCTET}){{3}}(?:[:/]\d{{1,5}})?(?!\w|\.\d)"
    rf"|(?<=ip-){_OCTET}(?:-{_OCTET}){{3}}(?![\w-])"
)
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}(?![\w:])")
_MAC: Final = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])"
)
_BRACKETED_IP: Final = re.compile(r"\[\{ip\}\](?::\d{1,5})?")
_SEMANTIC_VERSION: Final = re.compile(
    r"(?<![^\W_])(?<!\d\.)v?\d{1,5}\.\d{1,5}\.\d{1,10}"
    r"(?:-(?:alpha|beta|rc|snapshot|preview|dev|next|canary|final|release)(?:[.-]?\d+)*)?"
    r"(?:\+[0-9A-Za-z.]+)?(?![^\W_]|\.\d)",
    re.IGNORECASE,
)


def fold_query(name: str) -> str:
    """A URL's query becomes `?{query}`, pairs joined by & `{query}`, a matrix parameter its key."""
    if "?" in name:
        name = _QUERY.sub("?{query}", name)
    if "&" in name:
        name = _PAIRS.sub("{query}", name)
    return _MATRIX.sub(r";\1={value}", name) if ";" in name else name


def fold_documents(name: str) -> str:
    """JSON becomes `{json}`, with all that follows; a quoted argument `{text}`."""
    if '"' not in name and "'" not in name:
        return name
    name = _JSON.sub("{json}", name)
    return _ARGUMENT.sub(r"\1{text}", name)


def fold_escapes(name: str) -> str:
    """Three or more percent-encoded bytes are data in another script: `{text}`."""
    return _ESCAPES.sub("{text}", name) if "%" in name else name


def fold_emails(name: str) -> str:
    """E-mail addresses become `{email}`."""
    return _EMAIL.sub("{email}", name) if "@" in name or "%40" in name else name


def fold_uuids(name: str) -> str:
    """UUIDs with - or _ become `{uuid}`; without, they are `{hash}`."""
    return _UUID.sub("{uuid}", name)


def fold_dates(name: str) -> str:
    """Dates with or without a time become `{date}`, times `{time}`, ISO durations `{duration}`."""
    if not _TWO_DIGITS.search(name):
        return _DURATION.sub("{duration}", name) if "P" in name else name
    name = _DATE.sub("{date}", name)
    if name.count(":") > 1:
        name = _TIME.sub("{time}", name)
    return _DURATION.sub("{duration}", name) if "P" in name else name


def fold_addresses(name: str) -> str:
    """IP addresses, with port or prefix length, become `{ip}`, hardware addresses `{mac}`."""
    if name.count(".") > 2 or "ip-" in name:
        name = _IPV4.sub("{ip}", name)
    if name.count(":") > 1 or name.count("-") > 4:
        name = _MAC.sub("{mac}", name)
        name = _IPV6.sub(_ipv6, name)
    return _BRACKETED_IP.sub("{ip}", name) if "[{ip}]" in name else name


def fold_versions(name: str) -> str:
    """Versions of three numbers become `{version}`: each release would be a new name."""
    return _SEMANTIC_VERSION.sub("{version}", name) if name.count(".") > 1 else name


def _ipv6(found: re.Match[str]) -> str:
    text = found.group()
    if not any(map(str.isdigit, text)):
        return text  # Dec::Add
    try:
        IPv6Address(text)
    except AddressValueError:
        return text
    return "{ip}"
