"""SQL text as a span name: its literals become `?`."""

from __future__ import annotations

import re
from typing import Final

_BEGINS: Final = re.compile(
    r"\b(?:(?P<select>SELECT|WITH)\s|INSERT\s+(?:IGNORE\s+)?INTO\s|REPLACE\s+INTO\s|DELETE\s+FROM\s"
    r"|MERGE\s+INTO\s|UPDATE\s+[^\s]+(?:\s+(?:AS\s+)?[^\s]+)?\s+SET\s|(?:CREATE|DROP|ALTER|TRUNCATE)\s+"
    r"(?:TEMP(?:ORARY)?\s+|UNIQUE\s+)?(?:TABLE|INDEX|VIEW|USER|ROLE|DATABASE)\s|CALL\s+[\w.]+\s*\("
    r"|EXEC(?:UTE)?\s+[\w.]+\s+@|EXPLAIN\s+(?:ANALYZE\s+)?SELECT\s|VALUES\s*\()",
    re.IGNORECASE,
)
_FROM: Final = re.compile(r"\bFROM\b|\bWHERE\b|'", re.IGNORECASE)
_LITERAL: Final = re.compile(
    r"/\*.*?(?:\*/|\Z)"  # comments, which carry trace ids where sqlcommenter is at work
    r"|--(?=\s)[^\n]*"
    r"|(?P<text>\b[NEBXnebx]?'(?:[^'\\]|''|\\.)*(?:'|\Z)|'(?:[^'\\]|''|\\.)*(?:'|\\?\Z))"
    r"|(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z))"
    r"|(?P<quoted>(?<=[=<>(,~])\s*\"[^\"]*(?:\"|\Z)|\b(?:LIKE|ILIKE)\s+\"[^\"]*(?:\"|\Z))"
    r"|(?P<number>(?<![\w$.{:])(?:(?<=[=<>(,*/+])\s*[-+])?(?:0[xX][0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?![\w.]))",
    re.DOTALL,
)
_SPACE: Final = re.compile(r"\s+")
_PARAMETER: Final = r"(?:\?|\$\d+|%s|%\(\w+\)s|[:@]\w+|NULL|DEFAULT|TRUE|FALSE)"
_LIST: Final = re.compile(
    rf"(?<![\w$.]){_PARAMETER}(?:\s*,\s*{_PARAMETER})+(?![\w.(])", re.IGNORECASE
)
_SINGLE: Final = re.compile(r"\(\s*(?:\?|\$\d+|%s)\s*\)")
_ROWS: Final = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")


def fold_sql(name: str) -> str:
    """Literals and lists of them become `?`; comments go, and spaces become single ones."""
    begins = _BEGINS.search(name)
    if begins is None or (begins["select"] and not _FROM.search(name, begins.end())):
        return name
    name = _SPACE.sub(" ", _LITERAL.sub(_folded, name)).strip()
    name = _SINGLE.sub("(?)", _LIST.sub("?", name))
    return _ROWS.sub("(?)", name) or "{sql}"


def _folded(found: re.Match[str]) -> str:
    text = found.group()
    match found.lastgroup:
        case None:
            return " "
        case "quoted":
            return text[: text.index('"')] + "?"
        case "number" if text[0].isspace():
            return " ?"
        case _:
            return "?"
