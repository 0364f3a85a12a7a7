"""What a check has found, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the value is the exit code of the command whose worst finding it is."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, how it stands, and what to do about it."""

    level: Level
    what: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{self.level.name:<4}  {self.what}: {self.text}"
        return printable(f"{line}: {self.mend}" if self.mend else line)


def ok(what: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(Level.OK, what, text)


def warn(what: str, text: str, mend: str) -> Finding:
    """It works, but not as well as it could, or not for long."""
    return Finding(Level.WARN, what, text, mend)


def fail(what: str, text: str, mend: str) -> Finding:
    """It doesn't work."""
    return Finding(Level.FAIL, what, text, mend)


def printable(text: str) -> str:
    """The text on one line, without what would steer a terminal: names come from anywhere."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
