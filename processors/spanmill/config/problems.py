"""What is wrong with a configuration file: where, and in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""The keys from the top of the file to a value; a list's items have their index."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_/-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend; `line` counts from 1, an empty `key_path` is the file as a whole."""

    line: int
    key_path: KeyPath
    text: str


def dotted(key_path: KeyPath) -> str:
    """A path as people write it: `span_metrics.dimensions[1]`."""
    text = ""
    for key in key_path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            shown = key if _PLAIN_KEY.fullmatch(key) else repr(key[:60])
            text += f".{shown}" if text else shown
    return text


def config_error(path: Path, problems: Iterable[Problem]) -> ConfigError:
    """All problems of a file, each in one line, in the file's order."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    return ConfigError("\n".join(_line(path, problem) for problem in ordered))


def _line(path: Path, problem: Problem) -> str:
    where = f"{path}:{problem.line}"
    if problem.key_path:
        where += f": {dotted(problem.key_path)}"
    return f"{where}: {problem.text}"
