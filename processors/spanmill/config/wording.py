"""What is wrong with a value, in words for the author of the file."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import ErrorDetails

from spanmill.config.problems import KeyPath
from spanmill.config.sections import section_at
from spanmill.config.value_types import CONFLICT, describe

_SECRET: Final = frozenset({"headers", "tokens", "token", "password"})
"""The keys at and below which no value is shown."""

_EXPECTED: Final = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a text (numbers, true and false need quotes)",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "mapping_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} item",
}

_MAX_GUESSED: Final = 100  # characters; a longer key is no slip of the pen


def wording(detail: ErrorDetails, key_path: KeyPath) -> str:
    """The sentence for one error of the model at `key_path`."""
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(key_path)
        case "missing":
            return "is required, there is no default"
        case "value_error":
            return str(context["error"])
        case kind if kind == CONFLICT:
            return str(context["message"])
        case "literal_error":
            return _not_a_choice(detail, re.findall("'([^']*)'", context["expected"]))
    limits = {name: _short(limit) for name, limit in context.items()}
    expected = _EXPECTED.get(detail["type"], detail["msg"]).format(**limits)
    secret = not _SECRET.isdisjoint(key_path)
    return expected if secret else f"{expected}; given {describe(detail['input'])}"


def _short(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _unknown_key(key_path: KeyPath) -> str:
    section = section_at(key_path[:-1])
    keys = [] if section is None else list(section.model_fields)
    guess = _nearest(str(key_path[-1]), keys)
    return f"unknown key; {guess or 'the keys here are ' + ', '.join(keys)}"


def _not_a_choice(detail: ErrorDetails, choices: list[str]) -> str:
    said = f"must be one of {', '.join(choices)}; given {describe(detail['input'])}"
    guess = _nearest(detail["input"], choices) if isinstance(detail["input"], str) else ""
    return f"{said}; {guess}" if guess else said


def _nearest(word: str, choices: list[str]) -> str:
    if not word or len(word) > _MAX_GUESSED:
        return ""
    meant = word.lower().replace("-", "_")
    near = get_close_matches(meant, choices, 1) or [c for c in choices if c.startswith(meant)]
    return f"did you mean {near[0]!r}?" if near else ""
