"""All that is wrong with a file's values, in one go."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spanmill.config.file_values import FileValues
from spanmill.config.model import Config
from spanmill.config.problems import KeyPath, Problem
from spanmill.config.sections import can_be_off
from spanmill.config.value_types import CONFLICT, FROM_FILE
from spanmill.config.wording import wording

_WRONG_TYPE: Final = frozenset(
    {"string_type", "path_type", "int_type", "int_from_float", "float_type", "bool_type"}
)
_FOLLOWS_ANOTHER: Final = "default_factory_not_called"


def validate(values: FileValues) -> tuple[Config | None, list[Problem]]:
    """Check `values` against the model; the configuration is only for use without problems.

    The model checks the rules between keys only where each key is right by itself. So what is
    wrong is taken out and the rest is checked again, until nothing new is found; a rule that
    something wrong has part in is not told.
    """
    problems = [
        Problem(values.line(at), at, "is empty: write null for none, or {} for its defaults")
        for at in values.empty
        if can_be_off(at)
    ]
    check = _Check(values, problems, set(values.unresolved))
    while True:
        try:
            return Config.model_validate(values.data, context=FROM_FILE), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
        retyped = [check.retype(detail) for detail in details]
        if any(retyped):
            continue
        taken_out = [check.settle(detail) for detail in details]
        if not any(taken_out):
            return None, problems


class _Check:
    """One check of a file: `wrong` holds what is known to be wrong by itself."""

    def __init__(self, values: FileValues, problems: list[Problem], wrong: set[KeyPath]) -> None:
        self._values = values
        self._problems = problems
        self._wrong = wrong
        self._taken_out: set[KeyPath] = set()

    def retype(self, detail: ErrorDetails) -> bool:
        """Give a variable's value the other type that it may have; False if it has none."""
        at = detail["loc"]
        if detail["type"] not in _WRONG_TYPE or at not in self._values.other_forms:
            return False
        container: Any = self._values.data
        for key in at[:-1]:
            container = container[key]
        container[at[-1]] = self._values.other_forms.pop(at)
        return True

    def settle(self, detail: ErrorDetails) -> bool:
        """Note an error and take its cause out; False if the data stay as they are."""
        if detail["type"] == _FOLLOWS_ANOTHER:
            return False
        involved = self._involved(detail)
        at = next((path for path in involved if path in self._values.lines), involved[0])
        if not any(_lies_in(path, self._wrong) for path in involved):
            self._problems.append(Problem(self._values.line(at), at, wording(detail, at)))
            self._wrong.add(at)
        return self._take_out(at)

    def _involved(self, detail: ErrorDetails) -> list[KeyPath]:
        """Where the error is; for a rule between keys, where each of them is."""
        location = tuple(part for part in detail["loc"] if part != "[key]")
        if detail["type"] != CONFLICT:
            return [location]
        return [(*location, *key.split(".")) for key in detail["ctx"]["involved"]]

    def _take_out(self, key_path: KeyPath) -> bool:
        """Remove the innermost entry of a mapping that holds `key_path`; False if it is gone.

        A list goes as a whole: without one item the others would have other places.
        """
        if _lies_in(key_path, self._taken_out):
            return False
        container: Any = self._values.data
        innermost: tuple[dict[str, Any], str, KeyPath] | None = None
        for depth, part in enumerate(key_path, 1):
            if isinstance(container, dict) and isinstance(part, str) and part in container:
                innermost = (container, part, key_path[:depth])
            elif not (isinstance(container, list) and isinstance(part, int)):
                break
            container = container[part]
        if innermost is None:
            return False
        mapping, key, taken_out = innermost
        del mapping[key]
        self._taken_out.add(taken_out)
        return True


def _lies_in(key_path: KeyPath, paths: set[KeyPath]) -> bool:
    return any(key_path[:length] in paths for length in range(1, len(key_path) + 1))
