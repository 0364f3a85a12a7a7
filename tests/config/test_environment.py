from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.environment import is_reference, substitute

ENVIRON = {"HOST": "collector", "PORT": "4317", "EMPTY": "", "NESTED": "${env:HOST} $$"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${env:HOST}", "collector"),
        ("${env:HOST}:${env:PORT}", "collector:4317"),
        ("http://${env:HOST}/x", "http://collector/x"),
        ("${env:NONE:-127.0.0.1}", "127.0.0.1"),
        ("${env:NONE:-}", ""),
        ("${env:EMPTY:-else}", "else"),
        ("${env:EMPTY}", ""),
        ("${env:HOST:-else}", "collector"),
        ("${env:NONE:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${env:HOST}", "${env:HOST}"),
        ("$$$${env:HOST}", "$${env:HOST}"),
        ("$$${env:HOST}", "$collector"),
        ("pa$word", "pa$word"),
        ("5$", "5$"),
    ],
)
def test_variables_and_dollars_are_put_in(text: str, result: str) -> None:
    assert substitute(text, ENVIRON) == result


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert substitute("${env:NESTED}", ENVIRON) == "${env:HOST} $$"


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ValueError, match="the environment variable TOKEN is not set"):
        substitute("Bearer ${env:TOKEN}", ENVIRON)


@pytest.mark.parametrize(
    "text",
    [
        "${HOST}",
        "${env:}",
        "${env:1A}",
        "${env:A B}",
        "${file:x}",
        "geheim${",
        "${env:A:-${env:B}}",
    ],
)
def test_another_reference_is_refused_without_showing_the_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \$\$ for a literal \$") as refused:
        substitute(text, ENVIRON)
    assert "geheim" not in str(refused.value)


@given(st.text(max_size=30))
def test_doubling_every_dollar_keeps_a_text(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}) == text


@pytest.mark.parametrize(
    ("text", "whole"),
    [("${env:A}", True), ("${env:A:-x}", True), ("${env:A} ", False), ("${env:A}${env:B}", False)],
)
def test_a_value_may_be_one_variable_and_nothing_else(text: str, whole: bool) -> None:
    assert is_reference(text) is whole
