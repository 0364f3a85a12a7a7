"""Numbers in names: those that count things fold, those that are part of a word stay."""

from __future__ import annotations

import re
from typing import Final

from spanmill.series.names.known_words import KNOWN, KNOWN_NUMBER, LONGEST_KNOWN

ID: Final = "{id}"

_KEPT: Final = (
    r"%[0-9A-Fa-f]{2}"  # a percent-encoded byte
    r"|\{\d{1,2}(?:,\d{0,2})?\}"  # {0} and a pattern's repetition
    r"|[01]-9(?!\d)"  # a pattern's range of digits
    r"|\$\d{1,2}(?!\w)"  # an SQL parameter; an anonymous class
)
_SCHEDULE: Final = (  # of cron, with at least one *
    r"(?<!\S)[\d/,-]{0,12}\*[\d*/,-]{0,12}(?:\s[\d*/,?LW#A-Z-]+){4,5}(?!\S)"
    r"|(?<!\S)\d{1,2}(?:[/,-]\d{1,2})*(?:\s[\d*/,?LW#-]+){2,3}\s[*?]"
    r"(?:\s[\dA-Z*/,?L#-]+){0,2}(?!\S)"
)
_DECIMAL: Final = r"(?<![^\W_])(?<![\w.-][.])\d+(?:\.\d+)+(?![^\W_])"
_REST: Final = rf"(?P<decimal>{_DECIMAL})|(?P<run>[^\W_]+(?:[-_]+[^\W_]+)*)"
_TOKEN: Final = re.compile(rf"(?P<kept>{_KEPT})|{_REST}")
_TOKEN_OR_SCHEDULE: Final = re.compile(rf"(?P<kept>{_KEPT}|{_SCHEDULE})|{_REST}")
_DIGIT: Final = re.compile(r"\d")
_SEPARATORS: Final = re.compile(r"([-_]+)")
_TOPOLOGY: Final = frozenset({"KSTREAM", "KTABLE"})
"""Kafka Streams numbers the steps of a program with ten digits: KSTREAM-MAP-0000000003."""
_INSIDE_WORD: Final = re.compile(
    rf"(?:{KNOWN.pattern})|(?P<long>\d{{3,}})", KNOWN.flags & ~re.ASCII
)
_LONG_NUMBER: Final = re.compile(r"(?P<long>\d{3,})")
_PORT: Final = re.compile(r"(?:localhost|://[^\s/:]{1,255}|\.[A-Za-z][A-Za-z-]{0,62}):$")
# One number a line would fill a page.
# fmt: off
_KNOWN_PORTS: Final = frozenset(
    (
        21, 22, 25, 53, 80, 88, 143, 389, 443, 445, 465, 587, 636, 993, 1433, 1521, 1883, 2181,
        2379, 3000, 3306, 4222, 4317, 4318, 5000, 5432, 5433, 5672, 6379, 6380, 6432, 6443, 7687,
        8000, 8080, 8081, 8086, 8088, 8123, 8125, 8443, 8500, 8529, 8888, 9000, 9042, 9090, 9092,
        9093, 9200, 9300, 9411, 9418, 10250, 11211, 14268, 15672, 26257, 27017, 27018, 33060,
        50051, 61616,
    )
)
# fmt: on
"""Ports that stand in names as part of a server's address, where a key would have an id."""

_PROTOCOL_VERSION: Final = re.compile(r"(?:HTTP|SPDY|TLS|SSL|QUIC)[/ ]?v?$", re.IGNORECASE)
_MODEL_REVISION: Final = re.compile(r"(?<![^\W_])v\d{1,2}:$")
_REPEATED: Final = re.compile(r"\{id\}(?:[-_.:,;|+ ]{1,2}\{id\})+")
_ATTACHED_DIGITS: Final = 2
"""Digits that may stay beside - and _ in one word: `topic-0`, `shard-07`, `claude-3-5`."""


def fold_numbers(name: str) -> str:
    """Numbers become `{id}`.

    One of one or two digits stays where it is a part of a word (`s3`, `flowStep2`, `topic-0`),
    which bounds what it can add to 100 names; known words (`sha256`) stay whatever their digits.
    """
    if not _DIGIT.search(name):
        return name
    return (_TOKEN_OR_SCHEDULE if "*" in name else _TOKEN).sub(_fold_token, name)


def join_ids(name: str) -> str:
    """A list of ids becomes one `{id}`: its length would make new names."""
    return _REPEATED.sub(ID, name)


def _fold_token(found: re.Match[str]) -> str:
    text = found.group()
    if found.lastgroup == "kept":
        return text
    if found.lastgroup == "decimal":
        return text if _is_version(found) else ID
    if text.isalpha() or not any(map(str.isdecimal, text)):
        return text
    if text.isdecimal():
        return text if _is_part(found) else ID
    return _fold_run(found)


def _fold_run(found: re.Match[str]) -> str:
    words = _SEPARATORS.split(found.group())
    named = any(not word.isdecimal() for word in words[::2])
    left = _ATTACHED_DIGITS if named or _continues_decimal(found) else 0
    for index in range(0, len(words), 2):
        word = words[index]
        if not word.isdecimal():
            inside = _INSIDE_WORD if len(word) <= LONGEST_KNOWN else _LONG_NUMBER
            words[index] = inside.sub(_fold_long, word)
        elif _is_named(words, index):
            continue
        elif len(word) <= left:
            left -= len(word)
        else:
            words[index] = ID
    return "".join(words)


def _is_named(words: list[str], index: int) -> bool:
    """Whether a number makes a known word with the one before it, as in `utf-16`."""
    if len(words[index]) == 10 and not _TOPOLOGY.isdisjoint(words):
        return True
    return index > 1 and KNOWN_NUMBER.fullmatch("".join(words[index - 2 : index + 1])) is not None


def _fold_long(found: re.Match[str]) -> str:
    return ID if found.lastgroup == "long" else found.group()


def _is_part(found: re.Match[str]) -> bool:
    """Whether a number between marks belongs to what stands before it."""
    name, begin, number = found.string, found.start(), found.group()
    if begin == 0:
        return False
    if _continues_decimal(found):
        return len(number) <= _ATTACHED_DIGITS
    match name[begin - 1]:
        case ":":
            before = name[max(0, begin - 300) : begin]
            return _is_port(number, before) or _is_revision(number, before)
        case "/" | " ":
            before = name[max(0, begin - 16) : begin]
            protocol = len(number) == 1 and _PROTOCOL_VERSION.search(before)
            return bool(protocol or KNOWN_NUMBER.fullmatch(_last_word(before) + number))
        case _:
            return False


def _is_port(number: str, before: str) -> bool:
    port = _PORT.search(before)
    if port is None or len(number) > 5:
        return False
    return port.group()[0] != "." or int(number) in _KNOWN_PORTS


def _is_revision(number: str, before: str) -> bool:
    return len(number) == 1 and _MODEL_REVISION.search(before) is not None


def _last_word(before: str) -> str:
    """The last word of a text with the mark after it."""
    word = re.search(r"[^\W_]{1,12}[ ]$", before)
    return "" if word is None else word.group()


def _continues_decimal(found: re.Match[str]) -> bool:
    """Whether the text goes on a version such as the 1 of `gpt-4.1` and the 2 of `v1.2`."""
    name, begin = found.string, found.start()
    return begin > 1 and name[begin - 1] == "." and name[begin - 2].isdecimal()


def _is_version(found: re.Match[str]) -> bool:
    """Whether a decimal is a version of an API or a protocol: one digit, a dot, one digit."""
    name, begin, text = found.string, found.start(), found.group()
    if len(text) != 3 or begin == 0:
        return False
    if name[begin - 1] == "/":
        return True
    return _PROTOCOL_VERSION.search(name[max(0, begin - 6) : begin]) is not None
