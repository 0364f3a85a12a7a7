from __future__ import annotations

import tracemalloc

import pytest

from spanmill.config.yaml_source import (
    MAX_DEPTH,
    MAX_NODES,
    Mapping,
    Node,
    Scalar,
    Sequence,
    YamlError,
    read_yaml,
)


def plain(node: Node | None) -> object:
    """The tree as dicts, lists and texts."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(entries=entries):
            return {key: plain(entry.value) for key, entry in entries.items()}
    return None


def refusal(text: str) -> tuple[int, str]:
    with pytest.raises(YamlError) as refused:
        read_yaml(text)
    return refused.value.problem.line, refused.value.problem.text


def test_every_key_and_item_knows_its_line() -> None:
    root = read_yaml("# comment\na:\n  b: [1,\n    2]\n  c: x\n").root
    assert isinstance(root, Mapping)
    inner = root.entries["a"].value
    assert isinstance(inner, Mapping)
    items = inner.entries["b"].value
    assert isinstance(items, Sequence)
    assert root.entries["a"].line == 2
    assert {key: entry.line for key, entry in inner.entries.items()} == {"b": 3, "c": 5}
    assert [item.line for item in items.items] == [3, 4]


def test_only_unquoted_values_are_plain() -> None:
    root = read_yaml("[1, '1', \"1\", !!str 1]").root
    assert isinstance(root, Sequence)
    assert [isinstance(item, Scalar) and item.plain for item in root.items] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n# nothing\n"])
def test_an_empty_file_has_no_values(text: str) -> None:
    assert plain(read_yaml(text).root) in (None, "")


def test_a_key_given_twice_names_both_lines_and_keeps_the_first() -> None:
    document = read_yaml("a: 1\nb: {c: 2, c: 3}\na: 4\n")
    assert plain(document.root) == {"a": "1", "b": {"c": "2"}}
    assert [(p.line, p.key_path, p.text) for p in document.problems] == [
        (2, ("b", "c"), "is given twice, first on line 2"),
        (3, ("a",), "is given twice, first on line 1"),
    ]


def test_aliases_stand_for_their_anchors() -> None:
    document = read_yaml("a: &x {k: v}\nb: *x\nc: [*x, *x]\n")
    assert plain(document.root) == {"a": {"k": "v"}, "b": {"k": "v"}, "c": [{"k": "v"}] * 2}


def test_merge_keys_give_way_to_a_mapping_s_own() -> None:
    text = (
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: own, <<: [*a, *b]}\nd: {<<: *a, x: own}\n"
    )
    root = plain(read_yaml(text).root)
    assert isinstance(root, dict)
    assert root["c"] == {"x": "1", "y": "1", "z": "own"}
    assert root["d"] == {"x": "own", "y": "1"}
    assert read_yaml(text).problems == ()


def test_a_quoted_merge_key_is_a_key() -> None:
    assert plain(read_yaml("{'<<': 1}").root) == {"<<": "1"}


def test_anchors_that_expand_a_billion_times_are_refused_at_once_in_small_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    tracemalloc.start()
    try:
        line, text = refusal("\n".join(lines))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (line, text) == (5, f"is too large: over {MAX_NODES} keys and values once expanded")
    assert peak < 5_000_000


def test_merge_keys_that_expand_a_billion_times_are_refused_at_once() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{n}: x" for n in range(100)) + "}"]
    lines += [
        f"a{n}: &a{n} {{k: [{', '.join([f'*a{n - 1}'] * 100)}], <<: *a0}}" for n in range(1, 9)
    ]
    assert "is too large" in refusal("\n".join(lines))[1]


def test_an_alias_can_not_lie_inside_its_own_anchor() -> None:
    assert refusal("a: &x\n  b: *x\n") == (
        2,
        "this alias lies inside its own anchor (a text that begins with * needs quotes)",
    )


@pytest.mark.parametrize("text", ["[" * 10_000, "a: " + "{b: " * 10_000, "- " * 10_000])
def test_brackets_ten_thousand_deep_are_refused(text: str) -> None:
    assert refusal(text) == (1, f"is nested deeper than {MAX_DEPTH} levels")


def test_depth_through_aliases_counts_too() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))]
    assert refusal("\n".join(lines))[1] == f"is nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: b: c\n", 1, "mapping values are not allowed here"),
        ("a: [1, 2\nb: 3\n", 2, "is no YAML"),
        ("a: 'open\n", 2, "is no YAML"),
        ("a:\n\tb: 1\n", 2, "is no YAML"),
        ("a: !!python/object:os.system x\n", 1, "tags are not read"),
        ("a: !mine {b: 1}\n", 1, "tags are not read"),
        ("a: 1\nb: \x00\n", 2, "has the character #x0000"),
        ("? [a]\n: 1\n", 1, "a key must be a text"),
        ("a: {<<: 1}\n", 1, "<< takes a mapping"),
        ("a: {b: ${env:X}}\n", 1, "needs quotes"),
    ],
)
def test_what_can_not_be_read_is_told_with_its_line(text: str, line: int, words: str) -> None:
    told_line, told = refusal(text)
    assert told_line == line
    assert words in told


@pytest.mark.parametrize("text", ["a: *geheim", "a: !geheim x", "a: !geheim!x y", "%TAG !geheim"])
def test_a_value_that_looks_like_syntax_is_not_shown(text: str) -> None:
    assert "geheim" not in refusal(text)[1]
