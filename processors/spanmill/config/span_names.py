"""What a user's own rules for span names are."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from spanmill.config.endpoints import shorten
from spanmill.config.section import Section

MAX_RULES: Final = 100
"""More rules than this are refused: every new span name is tried against each."""


def _compiles(pattern: str) -> str:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shorten(pattern)} is no regular expression: {error}") from error
    if compiled.search(""):
        raise ValueError(
            f"{shorten(pattern)} matches the empty text, so it would match between any two "
            "characters; say what must be there, with + for *, for example"
        )
    return pattern


class NameRule(Section):
    """What to write in span names instead of what a pattern finds."""

    pattern: Annotated[str, AfterValidator(_compiles)] = Field(
        description="A regular expression (Python's `re`); all that it finds is replaced. How "
        "long it takes is up to you: avoid repetition inside of repetition.",
    )
    replacement: str = Field(
        description="What to write instead; `\\1` or `\\g<name>` is what a group found. The "
        "built-in rules leave it as it is.",
    )

    @model_validator(mode="after")
    def _replacement_fits(self) -> Self:
        compiled = re.compile(self.pattern)
        names = {number: name for name, number in compiled.groupindex.items()}
        groups = (f"(?P<{names[n]}>)" if n in names else "()" for n in _numbers(compiled))
        try:
            # The same groups, all empty: a template is only parsed where something matches.
            re.sub("".join(groups), self.replacement, "")
        except (re.error, IndexError) as error:
            raise ValueError(
                f"replacement {shorten(self.replacement)} does not fit the pattern: {error}"
            ) from error
        return self


def _numbers(compiled: re.Pattern[str]) -> range:
    return range(1, compiled.groups + 1)


NameRules = Annotated[tuple[NameRule, ...], Field(max_length=MAX_RULES)]
"""A user's rules, in the order in which they are tried."""
