"""The values of a file as plain data, with the environment's variables put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spanmill.config.environment import is_reference, substitute
from spanmill.config.problems import KeyPath, Problem
from spanmill.config.scalars import resolve_scalar
from spanmill.config.yaml_source import Document, Node, Scalar, Sequence
from spanmill.config.yaml_source import Mapping as MappingNode


@dataclass(slots=True)
class FileValues:
    """Plain data to validate, and what is known of each value.

    - `data`: nested dicts and lists of texts, numbers, true, false and None.
    - `lines`: the line of each key and item.
    - `other_forms`: values that are one variable, in the type that they don't have in `data`:
      an unquoted `${env:N}` is typed like YAML, but a key that wants a text takes its text,
      and a quoted one, which flow mappings need, may be a number after all.
    - `unresolved`: values left out because a variable in them can't be put in.
    - `empty`: keys with nothing behind them.
    - `nulls`: keys with a null that is written out.
    """

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    other_forms: dict[KeyPath, object] = field(default_factory=dict)
    unresolved: set[KeyPath] = field(default_factory=set)
    empty: list[KeyPath] = field(default_factory=list)
    nulls: list[KeyPath] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def line(self, key_path: KeyPath) -> int:
        """The line of a key, or of the nearest one above it that the file has."""
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return self.lines.get(key_path, 1)


def file_values(document: Document, environ: Mapping[str, str]) -> FileValues:
    """Turn a document into data; the variables that can't be put in are `problems`."""
    values = FileValues(problems=list(document.problems))
    root = document.root
    if isinstance(root, MappingNode):
        values.data = _plain(root, (), values, environ)
    elif not (root is None or (isinstance(root, Scalar) and root.plain and not root.text)):
        values.problems.append(Problem(root.line, (), "the file must be a mapping of keys"))
    return values


def _plain(node: Node, key_path: KeyPath, values: FileValues, environ: Mapping[str, str]) -> Any:
    match node:
        case Scalar():
            return _scalar(node, key_path, values, environ)
        case Sequence():
            items = []
            for index, item in enumerate(node.items):
                at = (*key_path, index)
                values.lines[at] = item.line
                items.append(_plain(item, at, values, environ))
            return items
        case MappingNode():
            entries = {}
            for key, entry in node.entries.items():
                at = (*key_path, key)
                values.lines[at] = entry.line
                value = _plain(entry.value, at, values, environ)
                if at not in values.unresolved:
                    entries[key] = value
            return entries


def _scalar(
    scalar: Scalar, key_path: KeyPath, values: FileValues, environ: Mapping[str, str]
) -> object:
    if "$" not in scalar.text:
        return _plain_scalar(scalar.text, key_path, values) if scalar.plain else scalar.text
    try:
        text = substitute(scalar.text, environ)
    except ValueError as error:
        values.problems.append(Problem(values.lines[key_path], key_path, str(error)))
        values.unresolved.add(key_path)
        return None
    typed = resolve_scalar(text)
    if not is_reference(scalar.text) or isinstance(typed, str):
        return text
    values.other_forms[key_path] = text if scalar.plain else typed
    return _plain_scalar(text, key_path, values) if scalar.plain else text


def _plain_scalar(text: str, key_path: KeyPath, values: FileValues) -> object:
    typed = resolve_scalar(text)
    if typed is None:
        (values.nulls if text else values.empty).append(key_path)
    return typed
