"""A YAML file as a tree that knows the line of every key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from spanmill.config.problems import KeyPath, Problem

MAX_NODES: Final = 20_000
"""Keys and values of a file with all its aliases written out; a thousand destinations fit."""

MAX_DEPTH: Final = 32

_STRING_TAGS: Final = frozenset({None, "!", "tag:yaml.org,2002:str"})
_MERGE: Final = "<<"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as it is written; `plain` without quotes, so that it may be a number."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping with its value; `line` is the key's."""

    value: Node
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries by key, each key once."""

    entries: dict[str, Entry]
    line: int


Node = Scalar | Sequence | Mapping


class YamlError(Exception):
    """The text can't be read any further as YAML; `problem` says where."""

    def __init__(self, line: int, text: str, key_path: KeyPath = ()) -> None:
        super().__init__(text)
        self.problem = Problem(line, key_path, text)


@dataclass(frozen=True, slots=True)
class Document:
    """The one document of a file; `root` is None where there is nothing but comments."""

    root: Node | None
    problems: tuple[Problem, ...]


def read_yaml(text: str) -> Document:
    """Read one document; keys given twice are its `problems`, the first of each is kept.

    Anchors, aliases and merge keys work; what they expand to is bounded by MAX_NODES before
    it is built. Raises YamlError for all that can't be read.
    """
    try:
        return _Reader(text).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(line, f"has the character #x{ord(text[error.position]):04x}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise YamlError(line, _syntax(error, text.split("\n"), line)) from None


def _syntax(error: yaml.MarkedYAMLError, lines: list[str], line: int) -> str:
    """The parser's words, without the words of the file: these may be secret."""
    if "${" in lines[min(line, len(lines)) - 1]:
        return "is no YAML: between { } or [ ], and before ': ', a value with ${ needs quotes"
    problem = error.problem or "unexpected end"
    if "undefined tag handle" in problem or "duplicate" in problem:
        problem = "a value that begins with ! or & needs quotes"
    return f"is no YAML: {problem}"


@dataclass(slots=True)
class _Anchor:
    node: Node
    nodes: int
    depth: int


@dataclass(slots=True)
class _Reader:
    """Builds the tree from the parser's events, which come one by one from the text."""

    text: str
    events: Iterator[yaml.Event] = field(init=False)
    problems: list[Problem] = field(default_factory=list)
    anchors: dict[str, _Anchor | None] = field(default_factory=dict)
    nodes: int = 0

    def __post_init__(self) -> None:
        self.events = iter(yaml.parse(self.text, Loader=yaml.SafeLoader))

    def document(self) -> Document:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise YamlError(_line(event), "begins a second document: one is allowed")
                root, _ = self._node(next(self.events), (), 1)
        return Document(root, tuple(self.problems))

    def _node(self, event: yaml.Event, key_path: KeyPath, depth: int) -> tuple[Node, int]:
        """The node that begins with `event`, and the deepest level inside it."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, key_path, depth)
        self._count(1, event, key_path, depth)
        before = self.nodes
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = None  # until it is complete: it can't contain itself
        node: Node
        match event:
            case yaml.ScalarEvent():
                node, deepest = self._scalar(event, key_path), depth
            case yaml.SequenceStartEvent():
                node, deepest = self._sequence(event, key_path, depth)
            case _:
                node, deepest = self._mapping(event, key_path, depth)
        if anchor is not None:
            self.anchors[anchor] = _Anchor(node, self.nodes - before + 1, deepest - depth)
        return node, deepest

    def _alias(self, event: yaml.AliasEvent, key_path: KeyPath, depth: int) -> tuple[Node, int]:
        name = event.anchor or ""
        anchor = self.anchors.get(name)
        if anchor is None:
            what = "lies inside its own anchor" if name in self.anchors else "has no anchor"
            raise YamlError(
                _line(event),
                f"this alias {what} (a text that begins with * needs quotes)",
                key_path,
            )
        self._count(anchor.nodes, event, key_path, depth + anchor.depth)
        return anchor.node, depth + anchor.depth

    def _scalar(self, event: yaml.ScalarEvent, key_path: KeyPath) -> Scalar:
        if event.tag not in _STRING_TAGS:
            raise YamlError(
                _line(event), "tags are not read (a text that begins with ! needs quotes)", key_path
            )
        return Scalar(event.value, event.style is None and event.tag is None, _line(event))

    def _sequence(
        self, start: yaml.SequenceStartEvent, key_path: KeyPath, depth: int
    ) -> tuple[Sequence, int]:
        self._refuse_tag(start, key_path)
        items: list[Node] = []
        deepest = depth
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            item, level = self._node(event, (*key_path, len(items)), depth + 1)
            items.append(item)
            deepest = max(deepest, level)
        return Sequence(tuple(items), _line(start)), deepest

    def _mapping(self, start: yaml.Event, key_path: KeyPath, depth: int) -> tuple[Mapping, int]:
        self._refuse_tag(start, key_path)
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        deepest = depth
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, _ = self._node(event, key_path, depth + 1)
            if not isinstance(key, Scalar):
                raise YamlError(_line(event), "a key must be a text", key_path)
            line = _line(event)
            at = (*key_path, key.text)
            value, level = self._node(next(self.events), at, depth + 1)
            deepest = max(deepest, level)
            if key.plain and key.text == _MERGE:
                for name, entry in _merged(value, line, key_path).items():
                    merged.setdefault(name, entry)
            elif key.text in entries:
                first = entries[key.text].line
                self.problems.append(Problem(line, at, f"is given twice, first on line {first}"))
            else:
                entries[key.text] = Entry(value, line)
        return Mapping({**merged, **entries}, _line(start)), deepest

    def _refuse_tag(self, event: yaml.Event, key_path: KeyPath) -> None:
        if getattr(event, "tag", None) is not None:
            raise YamlError(_line(event), "tags are not read", key_path)

    def _count(self, nodes: int, event: yaml.Event, key_path: KeyPath, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise YamlError(
                _line(event),
                f"is too large: over {MAX_NODES} keys and values once expanded",
                key_path,
            )
        if depth > MAX_DEPTH:
            raise YamlError(_line(event), f"is nested deeper than {MAX_DEPTH} levels", key_path[:4])


def _merged(value: Node, line: int, key_path: KeyPath) -> dict[str, Entry]:
    """What `<<` brings in: a mapping, or several, of which the first has the say."""
    sources = value.items if isinstance(value, Sequence) else (value,)
    entries: dict[str, Entry] = {}
    for source in sources:
        if not isinstance(source, Mapping):
            raise YamlError(line, "<< takes a mapping or a list of mappings", key_path)
        entries = {**source.entries, **entries}
    return entries


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1
