from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.label_names import label_name, reserved_because


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("http.route", "http_route"),
        ("http.response.status-code", "http_response_status_code"),
        ("already_fine", "already_fine"),
        ("3scale.id", "_3scale_id"),
        ("größe", "gr__e"),
        ("a:b", "a_b"),
        ("", "_"),
    ],
)
def test_a_key_becomes_a_label(key: str, label: str) -> None:
    assert label_name(key) == label


@given(st.text(max_size=20))
def test_every_key_gives_a_valid_label_of_its_own_length(key: str) -> None:
    label = label_name(key)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label)
    assert len(label) - len(key) in {0, 1}


@given(st.text(max_size=20))
def test_a_label_stays_as_it_is(key: str) -> None:
    assert label_name(label_name(key)) == label_name(key)


@pytest.mark.parametrize(
    "label",
    [
        *("le", "quantile", "__name__", "__anything", "job", "instance", "otel_metric_overflow"),
        *("service", "service_name", "span_name", "span_kind", "status_code", "status_message"),
    ],
)
def test_a_label_that_is_taken_is_reserved_with_a_reason(label: str) -> None:
    assert reserved_because(label)


def test_other_labels_are_free() -> None:
    assert reserved_because("http_route") is None
    assert reserved_because("_private") is None
