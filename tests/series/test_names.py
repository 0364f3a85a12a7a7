from __future__ import annotations

import random
import string
import sys
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanmill.config.span_names import NameRule
from spanmill.series.label_values import MAX_LENGTH
from spanmill.series.names import SpanNames, Step
from spanmill.series.names.cache import LabelCache
from spanmill.series.names.span_names import _RULES, CUT

FRAGMENTS = st.sampled_from(
    [
        *("GET ", "/", "-", "_", ".", ":", " ", "?", "=", "&", "'", '"', "$", "$$", "(", ")", ","),
        *("{", "}", "[", "]", "%41", "%", "@", "#", "*", "\\", "\n", "\t", ";", "+", "==", "--"),
        *("/*", "*/", "SELECT ", " FROM ", "WHERE a = ", "UPDATE a SET ", "INSERT INTO t VALUES"),
        *("{id}", "{hash}", "{uuid}", "?{query}", "tmp", "ip-", "v1", "eyJhbGciOi", "0x", "P1D"),
        *("2024-01-15", "T10:15:00Z", "10:15:00", "15 Jan 2024", "10.0.0.1", "fe80::1", "1.2.3"),
        *("550e8400-e29b-41d4-a716-446655440000", "a@b.org", "3f2a1bc", "x2x4z", "dQw4w9WgXcQ"),
        *("0", "7", "42", "123", "123456", "a", "ab", "abc", "Abc", "sha256", "utf", "status 404"),
        *("٣", "é", "订单", "KSTREAM", "chat gpt-4o", "localhost:", "0 */5 * * *", "\U000f0000"),
    ]
)
NAMES = st.one_of(
    st.lists(FRAGMENTS, max_size=25).map("".join),
    st.lists(st.one_of(FRAGMENTS, st.text(max_size=6)), max_size=15).map("".join),
    st.text(alphabet="aB1-_.:/ {}", max_size=60),
    st.text(max_size=60),
)


@given(NAMES)
@example("1 " * 600)
@example("12345 " * 300)
@example("aaaaaaaaaaaaaaaaaaaaaaa123x7k2p9q")
@example("/* SELECT a FROM b */")
def test_a_label_is_its_own_label(name: str) -> None:
    label = SpanNames().label(name)
    assert SpanNames().label(label) == label


@given(NAMES)
def test_a_label_is_not_empty_and_not_too_long(name: str) -> None:
    label = SpanNames().label(name)
    assert len(label) <= MAX_LENGTH
    assert bool(label) == bool(name)


@given(NAMES)
def test_the_steps_lead_from_the_name_to_the_label(name: str) -> None:
    names = SpanNames()
    steps = names.explain(name)
    reached = name
    for step in steps:
        assert step.before == reached
        assert step.after != reached
        reached = step.after
    assert reached == names.label(name)


@given(st.lists(NAMES, max_size=20))
def test_what_was_seen_before_changes_no_label(names: list[str]) -> None:
    together = SpanNames()
    assert together.labels([*names, *names]) == [SpanNames().label(name) for name in names] * 2


def test_a_rule_s_name_and_what_it_did_are_told_in_order() -> None:
    assert SpanNames().explain("GET /users/42?x=1") == [
        Step("query", "GET /users/42?x=1", "GET /users/42?{query}"),
        Step("number", "GET /users/42?{query}", "GET /users/{id}?{query}"),
    ]
    assert SpanNames().explain("GET /users/{id}") == []


def drawn(random_source: random.Random, alphabet: str, length: int) -> str:
    return "".join(random_source.choices(alphabet, k=length))


@pytest.mark.parametrize(
    ("alphabet", "length", "at_most"),
    [
        pytest.param(string.digits, 3, 0, id="numbers"),
        pytest.param("0123456789abcdef", 8, 0.15, id="8 hexadecimal"),
        pytest.param("0123456789abcdef", 16, 0.01, id="span ids"),
        pytest.param("0123456789abcdef", 32, 0, id="trace ids"),
        pytest.param("0123456789abcdef", 40, 0, id="commits"),
        pytest.param("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26, 0.02, id="ULIDs"),
        pytest.param(string.ascii_lowercase + string.digits, 25, 0.03, id="CUIDs"),
        pytest.param(string.ascii_letters + string.digits, 22, 0.04, id="base 62"),
        pytest.param(string.ascii_letters + string.digits + "-_", 43, 0.04, id="base64url"),
    ],
)
def test_few_of_many_random_ids_make_a_name_of_their_own(
    alphabet: str, length: int, at_most: float
) -> None:
    source = random.Random(7)
    count = 2000
    names = [f"GET /things/{drawn(source, alphabet, length)}/parts" for _ in range(count)]
    labels = set(SpanNames().labels(names))
    # A label or two for the kind itself, and what got away.
    assert len(labels) <= 6 + at_most * count


def test_uuids_of_all_spellings_make_one_label() -> None:
    source = random.Random(7)
    ids = [uuid.UUID(int=source.getrandbits(128), version=4) for _ in range(500)]
    spellings = [f"job {text}" for each in ids for text in (str(each), str(each).upper())]
    assert set(SpanNames().labels(spellings)) == {"job {uuid}"}


def test_sql_that_differs_in_its_literals_and_spaces_has_one_label() -> None:
    names = [
        f"SELECT *\n  FROM users\tWHERE id = {number} AND name = '{text}' -- {number}"
        for number, text in ((1, "a"), (-7.5, "O''Brien"), (10**9, "?"), (3, "\\'"))
    ]
    assert set(SpanNames().labels(names)) == {"SELECT * FROM users WHERE id = ? AND name = ?"}


def test_an_open_quote_hides_what_follows() -> None:
    assert SpanNames().label("SELECT a FROM b WHERE c = 'secret") == "SELECT a FROM b WHERE c = ?"


def test_a_long_name_loses_the_word_that_would_be_cut() -> None:
    words = "wordy " * 200
    label = SpanNames().label(words + "550e8400-e29b-41d4-a716-446655440000")
    assert label == "wordy " * 170 + CUT
    assert len(label) <= MAX_LENGTH
    assert len(SpanNames().label("/".join(["12345"] * 300))) <= MAX_LENGTH


def test_a_name_of_ten_million_characters_costs_what_a_thousand_do() -> None:
    names = SpanNames()
    assert names.label("x" * 10_000_000) == "x" * (MAX_LENGTH - 1) + CUT
    assert len(names._cache) == 1
    assert all(len(name) <= MAX_LENGTH for name in names._cache._young)


def calls(function: object, name: str) -> int:
    """Python calls that a function makes: what grows with its input does not depend on time."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    assert callable(function)
    sys.setprofile(counted)
    try:
        function(name)
    finally:
        sys.setprofile(None)
    return count


HOSTILE = ["a1", "1-", "1 ", "a-", "aB1", "::", "(?,", "'", '{"', "1.", "%41", "@", "$$", "1 2 *"]


@pytest.mark.parametrize("seed", HOSTILE)
@pytest.mark.parametrize(("rule", "fold"), _RULES, ids=[rule for rule, _ in _RULES])
def test_the_calls_a_rule_makes_grow_no_faster_than_a_name(
    rule: str, fold: object, seed: str
) -> None:
    short, long = (seed * (size // len(seed)) + "!" for size in (250, 1000))
    assert calls(fold, long) <= 4.5 * calls(fold, short) + 40


@pytest.mark.parametrize(
    "seed", [*HOSTILE, "a@", "eyJ", "/*", "[{", "SELECT ", "2024-", "x", "tmp"]
)
def test_no_name_makes_a_pattern_run_away(seed: str) -> None:
    # An exponential pattern would not end in the life of this test; a cubic one would time out.
    for suffix in ("", "!", "'", "\n", "}"):
        name = (seed * MAX_LENGTH)[: MAX_LENGTH - 1] + suffix
        assert SpanNames().label(name)


def test_switched_off_names_are_only_cut() -> None:
    names = SpanNames(enabled=False)
    assert names.label("GET /users/42") == "GET /users/42"
    assert names.label("é" * 5000) == "é" * MAX_LENGTH
    assert [step.rule for step in names.explain("x" * 2000)] == ["length"]
    assert names.explain("GET /users/42") == []


def rules(*pairs: tuple[str, str]) -> SpanNames:
    return SpanNames([NameRule(pattern=pattern, replacement=text) for pattern, text in pairs])


def test_a_user_s_rules_come_first_and_their_text_is_left_alone() -> None:
    names = rules((r"tenant-[a-z]+", "tenant-{tenant}"), (r"^(report-2024)-\d+$", r"\1"))
    assert names.label("GET /tenant-acme/users/42") == "GET /tenant-{tenant}/users/{id}"
    assert names.label("report-2024-123456") == "report-2024"
    assert [step.rule for step in names.explain("GET /tenant-acme/42")] == [
        "name_rules[0] tenant-[a-z]+",
        "number",
    ]


def test_a_later_rule_sees_what_an_earlier_one_wrote_as_one_mark() -> None:
    names = rules((r"acme", "{tenant}"), (r"tenant", "wrong"), (r"^GET (.*)$", r"\1"))
    assert names.label("GET /acme/42") == "/{tenant}/42"


def test_a_rule_that_would_leave_nothing_is_not_applied() -> None:
    names = rules((r".+", ""))
    assert names.label("GET /users/42") == "GET /users/{id}"
    assert names.explain("GET /") == []


def test_a_pattern_that_can_be_empty_in_the_midst_of_a_name_changes_nothing_there() -> None:
    assert rules((r"(?<=a)(?=b)|x+", "-")).label("abxxab") == "ab-ab"


@given(NAMES)
def test_with_a_user_s_rules_labels_are_not_empty_and_not_too_long(name: str) -> None:
    names = rules((r"a+", r"<\g<0>\g<0>>"), (r"\d", ""), (r"\S+", r"\g<0>" * 20))
    label = names.label(name)
    assert len(label) <= MAX_LENGTH
    assert bool(label) == bool(name)
    steps = names.explain(name)
    assert (steps[-1].after if steps else name) == label


def test_a_flood_of_names_takes_nothing_from_those_that_come_back() -> None:
    cache = LabelCache(max_names=100, max_bytes=10**6)
    cache.add("useful", "label")
    for number in range(1000):
        cache.add(f"flood {number}", "flood {id}")
        if number % 50 == 0:
            assert cache.get("useful") == "label"
        assert len(cache) <= 200
    assert cache.get("flood 0") is None


def test_the_cache_is_bounded_in_bytes() -> None:
    cache = LabelCache(max_names=10**6, max_bytes=100_000)
    for number in range(2000):
        cache.add(f"{number} " + "é" * 1000, "x" * 500)
    held = sum(sys.getsizeof(name) for name in (*cache._young, *cache._old))
    assert held <= 2 * 100_000 + 10_000
    assert len(cache) < 200


def test_names_without_a_change_are_held_once() -> None:
    names = SpanNames()
    name = "".join(["GET ", "/cart"])
    assert names.label(name) is name
