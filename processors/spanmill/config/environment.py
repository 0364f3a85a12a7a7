"""`${env:NAME}` and `${env:NAME:-default}` in values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

REFERENCE_PATTERN: Final = r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}"
"""A variable, with its default where it has one."""

_TOKEN: Final = re.compile(rf"\$\$|{REFERENCE_PATTERN}|\$\{{")
_WHOLE: Final = re.compile(REFERENCE_PATTERN)


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Put variables in their places; `$$` is a literal `$`.

    As in the shell, the default stands for a variable that is unset or empty. What is put in
    is not looked at again. Raises ValueError with the whole sentence: a variable that is not
    set and has no default, a `${` that is something else.
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, default = match[1], match[2]
        if name is None or (default is not None and "${" in default):
            raise ValueError(
                "has a ${ that is not ${env:NAME} or ${env:NAME:-default} "
                "(a default has no further ${ or }); write $$ for a literal $"
            )
        value = environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(
                f"the environment variable {name} is not set; "
                f"set it, or write ${{env:{name}:-default}}"
            )
        return value

    return _TOKEN.sub(replacement, text)


def is_reference(text: str) -> bool:
    """Whether a text is one variable and nothing else."""
    return _WHOLE.fullmatch(text) is not None
