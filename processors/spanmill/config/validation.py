"""All that is wrong with a file's values, in one go."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from spanmill.config.file_values import FileValues
from spanmill.config.model import Config
from spanmill.config.problems import KeyPath, Problem
from spanmill.config.sections import can_be_off, is_always_on
from spanmill.config.value_types import CONFLICT, FROM_FILE
from spanmill.config.wording import wording

_WRONG_TYPE: Final = frozenset(
    {"string_type", "path_type", "int_type", "int_from_float", "float_type", "bool_type"}
)
_MISSING: Final = "missing"
_TOO_SHORT: Final = "too_short"
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
    problems += [
        Problem(values.line(at), at, "can't be turned off; leave it out for its defaults")
        for at in values.nulls
        if is_always_on(at)
    ]
    check = _Check(values, problems, values.unresolved)
    while True:
        try:
            return Config.model_validate(values.data, context=FROM_FILE), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
        retyped = [check.retype(detail) for detail in details]
        if any(retyped):
            continue
        for detail in details:
            check.tell(detail)
        mended = [check.mend(detail) for detail in details]
        if not any(mended):
            return None, problems


class _Check:
    """One check of a file; what is wrong or taken out is known, and so is where it was."""

    def __init__(
        self, values: FileValues, problems: list[Problem], unresolved: set[KeyPath]
    ) -> None:
        self._values = values
        self._problems = problems
        self._wrong: set[KeyPath] = set()
        self._above_wrong: set[KeyPath] = set()
        self._stood_in: set[KeyPath] = set()
        for key_path in unresolved:
            self._note(key_path)

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

    def tell(self, detail: ErrorDetails) -> None:
        """Note an error, unless it only follows from what is known to be wrong."""
        if detail["type"] == _FOLLOWS_ANOTHER:
            return
        involved = _involved(detail)
        at = self._place(involved)
        lacks_what_is_wrong = detail["type"] == _TOO_SHORT and at in self._above_wrong
        if not lacks_what_is_wrong and not any(self._is_known(path) for path in involved):
            self._problems.append(Problem(self._values.line(at), at, wording(detail, at)))
            self._note(at)

    def mend(self, detail: ErrorDetails) -> bool:
        """Take an error's cause out of the data; False if they stay as they are."""
        if detail["type"] == _FOLLOWS_ANOTHER:
            return False
        if detail["type"] == _MISSING:
            at = detail["loc"]
            # Not every type takes the text: the section goes where it was taken out again.
            return self._take_out(at[:-1]) if at in self._stood_in else self._stand_in(at)
        return self._take_out(_location(detail) or self._place(_involved(detail)))

    def _place(self, involved: list[KeyPath]) -> KeyPath:
        """Where to tell an error: of the keys involved the first that stands in the file."""
        return next((path for path in involved if path in self._values.lines), involved[0])

    def _note(self, key_path: KeyPath) -> None:
        self._wrong.add(key_path)
        self._above_wrong.update(key_path[:length] for length in range(len(key_path)))

    def _is_known(self, key_path: KeyPath) -> bool:
        """Whether something is wrong already with a value or with a section around it."""
        return any(key_path[:length] in self._wrong for length in range(1, len(key_path) + 1))

    def _stand_in(self, key_path: KeyPath) -> bool:
        """Put a text where one is required, so that what stands beside it is checked."""
        section: Any = self._values.data
        for part in key_path[:-1]:
            if part not in section:
                return False
            if section[part] is None:
                section[part] = {}
            section = section[part]
        section[key_path[-1]] = ""
        self._stood_in.add(key_path)
        return True

    def _take_out(self, key_path: KeyPath) -> bool:
        """Remove the innermost entry of a mapping that holds `key_path`; False if it is gone.

        A list goes as a whole: without one item the others would have other places.
        """
        container: Any = self._values.data
        innermost: tuple[dict[str, Any], str, KeyPath] | None = None
        for depth, part in enumerate(key_path, 1):
            if isinstance(container, dict) and isinstance(part, str):
                if part not in container:
                    return False
                innermost = (container, part, key_path[:depth])
            elif not (isinstance(container, list) and isinstance(part, int)):
                break
            container = container[part]
        if innermost is None:
            return False
        mapping, key, taken_out = innermost
        del mapping[key]
        self._note(taken_out)
        return True


def _location(detail: ErrorDetails) -> KeyPath:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _involved(detail: ErrorDetails) -> list[KeyPath]:
    """Where the error is; for a rule between keys, where each of them is."""
    location = _location(detail)
    if detail["type"] != CONFLICT:
        return [location]
    return [(*location, *key.split(".")) for key in detail["ctx"]["involved"]]
