"""Attributes as labels that tell the same series apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spanmill.series.attribute_labels import attribute_labels
from spanmill.series.label_values import MAX_LENGTH

KEYS = st.sampled_from(["k", "город", "城市", "__name__", "", "k" * 2000, "k" * 2000 + "b"])
VALUES = st.sampled_from(["a", "b", "v" * 1025, "v" * 1024 + "w"])


@given(*[st.dictionaries(KEYS, VALUES)] * 2)
def test_attributes_that_differ_are_labels_that_differ(
    one: dict[str, str], two: dict[str, str]
) -> None:
    assert (attribute_labels(one, ()) == attribute_labels(two, ())) == (one == two)


def test_names_and_values_are_cut() -> None:
    ((name, value),) = attribute_labels({"k" * 2000: "v" * 2000}, ()).items()
    assert (len(name), len(value)) == (MAX_LENGTH, MAX_LENGTH)
    assert name.replace("_", "").isalnum()


def test_an_empty_value_is_no_label_but_is_joined_to_one() -> None:
    assert attribute_labels({"a": "", "b": None}, ()) == {}
    assert attribute_labels({"a.b": "1", "a_b": ""}, ()) == {"a_b": "1;"}
    assert attribute_labels({"a.b": "", "a_b": "1"}, ()) == {"a_b": "1"}
