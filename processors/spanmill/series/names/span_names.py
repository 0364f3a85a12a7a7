"""Span names as label values: what varies in them becomes placeholders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from spanmill.config.span_names import NameRule
from spanmill.series.label_values import MAX_LENGTH, label_text
from spanmill.series.names.cache import LabelCache
from spanmill.series.names.hashes import fold_hashes
from spanmill.series.names.numbers import fold_numbers, join_ids
from spanmill.series.names.sql import fold_sql
from spanmill.series.names.structured import (
    fold_addresses,
    fold_dates,
    fold_documents,
    fold_emails,
    fold_escapes,
    fold_query,
    fold_uuids,
    fold_versions,
)

CUT: Final = "…"
"""Ends a name that was too long."""

MAX_ROUNDS: Final = 8
"""One rule can bring out what another one folds; real names are done after one round."""

UNSTABLE: Final = "{name}"
"""The label of a name that is still not at rest after MAX_ROUNDS."""

_LAST_WORD: Final = re.compile(r"(?<=[\s/,;:&?=()|])[^\s/,;:&?=()|]{1,200}\Z")


def cut(name: str) -> str:
    """The name itself, or its first MAX_LENGTH characters less the word that would be cut."""
    if len(name) <= MAX_LENGTH:
        return name
    begin = name[: MAX_LENGTH - len(CUT)]
    return (_LAST_WORD.sub("", begin) or begin) + CUT


_RULES: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("sql", fold_sql),
    ("document", fold_documents),
    ("query", fold_query),
    ("email", fold_emails),
    ("uuid", fold_uuids),
    ("date", fold_dates),
    ("address", fold_addresses),
    ("version", fold_versions),
    ("escapes", fold_escapes),
    ("hash", fold_hashes),
    ("number", fold_numbers),
    ("list", join_ids),
    ("length", cut),
)

# Letters and marks that no rule looks at, and no run of letters so long that it may be drawn.
_UNREMARKABLE: Final = re.compile(r"(?:[A-Za-z]{1,19}(?![A-Za-z])|[ ./:_{}<>()\[\]#$-])*+")
# `{operation} {model}` of OpenTelemetry's conventions for generative AI: models carry dates.
_MODEL: Final = re.compile(
    r"(?:chat|text_completion|embeddings|generate_content|completion|invoke_model) "
    r"(?=[\w./:@-]*(?:gpt|claude|gemini|gemma|llama|mistral|mixtral|command|titan|nova|embed|qwen"
    r"|deepseek|phi|grok|jamba|whisper|davinci|sonar|codestral|imagen|cohere|anthropic|amazon))"
    r"(?![\w./:@-]*(?:[0-9A-Za-z]{20}|\d{9}))[A-Za-z][\w./:@-]{0,100}"
)
_FIRST_STAND_IN: Final = 0xF0000
_LAST_STAND_IN: Final = 0xFFFFD


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that met a name, and what it did; the rule is its name or a user's pattern."""

    rule: str
    before: str
    after: str


class SpanNames:
    """Gives each span name its label, the same whenever it is asked.

    First a user's rules, in their order, then the built-in ones on what those left; nothing
    folds what a user's replacement wrote. Labels have at most MAX_LENGTH characters and are
    empty only for an empty name. Without a user's rules a label's own label is that label.
    Where `enabled` is false, names are only cut to MAX_LENGTH.

    The time for a new name is bounded by that length for the built-in rules. Labels of names
    that were seen lately are kept: at most 2 times 8192, and 8 MiB with the names. To be used by
    one thread at a time.
    """

    def __init__(self, rules: Sequence[NameRule] = (), *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._rules = [
            (f"name_rules[{place}] {rule.pattern}", re.compile(rule.pattern), rule.replacement)
            for place, rule in enumerate(rules)
        ]
        self._cache = LabelCache()

    def label(self, name: str) -> str:
        """The label value of one name."""
        known = self._cache.get(name)
        if known is not None:
            return known
        if not self._enabled:
            return label_text(name)
        if len(name) > MAX_LENGTH:
            name = cut(name)
            known = self._cache.get(name)
            if known is not None:
                return known
        label = self._normalised(name)
        if label == name:
            label = name
        self._cache.add(name, label)
        return label

    def labels(self, values: Sequence[str]) -> list[str]:
        """The label value of each of a batch's names."""
        return [self.label(name) for name in values]

    def explain(self, name: str) -> list[Step]:
        """The rules that met, in order; what the last one left is the label."""
        if not self._enabled:
            return list(_step("length", name, label_text(name)))
        steps = list(_step("length", name, cut(name)))
        self._normalised(cut(name), steps)
        return steps

    def _normalised(self, name: str, steps: list[Step] | None = None) -> str:
        if not self._rules:
            return _settled(name, steps) if _may_change(name) else name
        stand_ins = _StandIns(name)
        masked = name
        for rule, pattern, replacement in self._rules:
            after = pattern.sub(stand_ins.replacing(replacement), masked)
            if not stand_ins.shown(after).strip():
                continue  # a name never becomes empty
            if steps is not None:
                steps.extend(_step(rule, stand_ins.shown(masked), stand_ins.shown(after)))
            masked = after
        settled = stand_ins.shown(_settled(masked, steps, stand_ins.shown))
        if steps is not None:
            steps.extend(_step("length", settled, cut(settled)))
        return cut(settled)


def _unchanged(name: str) -> str:
    return name


def _may_change(name: str) -> bool:
    if _UNREMARKABLE.fullmatch(name) is not None and "--" not in name:
        return False
    return _MODEL.fullmatch(name) is None


def _settled(name: str, steps: list[Step] | None, shown: Callable[[str], str] = _unchanged) -> str:
    """The name after as many rounds of the built-in rules as change it."""
    for _ in range(MAX_ROUNDS):
        if not _may_change(name):
            return name
        before = name
        for rule, fold in _RULES:
            after = fold(name)
            if after != name:
                if steps is not None:
                    steps.extend(_step(rule, shown(name), shown(after)))
                name = after
        if name == before:
            return name
    if steps is not None:
        steps.extend(_step("rounds", shown(name), UNSTABLE))
    return UNSTABLE


def _step(rule: str, before: str, after: str) -> Iterable[Step]:
    return () if before == after else (Step(rule, before, after),)


class _StandIns:
    """Characters of Unicode's private use that stand for what a user's rules wrote.

    No rule takes them for a letter or digit. Those that the name has itself are not used; where
    none is left, text is written as it is.
    """

    def __init__(self, name: str) -> None:
        own = set(name)
        codes = range(_FIRST_STAND_IN, _LAST_STAND_IN + 1)
        self._free: Iterator[int] = (code for code in codes if chr(code) not in own)
        self._texts: dict[int, str] = {}

    def replacing(self, replacement: str) -> Callable[[re.Match[str]], str]:
        """What to put in the place of a match; nothing where it is empty."""

        def replace(found: re.Match[str]) -> str:
            return self.of(self.shown(found.expand(replacement))) if found.group() else ""

        return replace

    def of(self, text: str) -> str:
        """The character that stands for a text; nothing for nothing."""
        code = next(self._free, None) if text else None
        if code is None:
            return text
        self._texts[code] = text
        return chr(code)

    def shown(self, masked: str) -> str:
        """The text with what the characters stand for."""
        return masked.translate(self._texts) if self._texts else masked
