"""Inflating within a bound."""

from __future__ import annotations

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.errors import TooLargeError, UndecodableError
from spanmill.receivers.compression import GZIP_MAGIC, inflate_gzip

# Around the sizes of the steps in which bodies are inflated.
SIZES = [0, 1, 65_535, 65_536, 262_143, 262_144, 262_145, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_a_body_of_any_size_comes_back(kind: str, size: int) -> None:
    body = bytes(size) if kind == "zeros" else random.Random(size).randbytes(size)

    assert inflate_gzip(gzip.compress(body), size, members="one") == body


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_members_are_joined_in_order(bodies: list[bytes]) -> None:
    joined = b"".join(bodies)
    members = b"".join(gzip.compress(body) for body in bodies)

    assert inflate_gzip(members, len(joined), members="many") == joined


@given(st.binary(max_size=200), st.data())
def test_every_cut_is_noticed(body: bytes, data: st.DataObject) -> None:
    compressed = gzip.compress(body)
    length = data.draw(st.integers(0, len(compressed) - 1))

    with pytest.raises(UndecodableError):
        inflate_gzip(compressed[:length], 1000, members="many")


@pytest.mark.parametrize("size", SIZES[1:])
def test_one_byte_over_the_limit_is_too_large(size: int) -> None:
    with pytest.raises(TooLargeError, match=str(size - 1)):
        inflate_gzip(gzip.compress(bytes(size)), size - 1, members="one")


def test_the_limit_holds_for_all_members_together() -> None:
    with pytest.raises(TooLargeError):
        inflate_gzip(gzip.compress(b"four") * 3, 11, members="many")


@pytest.mark.parametrize("rest", [b"x", GZIP_MAGIC, bytes(8), gzip.compress(b"")])
def test_one_member_is_followed_by_nothing(rest: bytes) -> None:
    with pytest.raises(UndecodableError, match="followed by more bytes"):
        inflate_gzip(gzip.compress(b"body") + rest, 1000, members="one")


@pytest.mark.parametrize("rest", [b"x", GZIP_MAGIC, bytes(8), b"plain text"])
def test_members_are_followed_by_members_only(rest: bytes) -> None:
    with pytest.raises(UndecodableError):
        inflate_gzip(gzip.compress(b"body") + rest, 1000, members="many")


def test_a_flood_of_empty_members_is_refused() -> None:
    member = gzip.compress(b"")

    assert inflate_gzip(member * 10_000, 0, members="many") == b""
    with pytest.raises(UndecodableError, match="10000 members"):
        inflate_gzip(member * 10_001, 0, members="many")


def test_a_wrong_checksum_or_length_is_noticed() -> None:
    compressed = gzip.compress(b"body")
    for damaged in (compressed[:-8] + bytes(4) + compressed[-4:], compressed[:-4] + bytes(4)):
        with pytest.raises(UndecodableError, match="not what gzip makes"):
            inflate_gzip(damaged, 1000, members="one")
