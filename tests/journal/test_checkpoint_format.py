"""A checkpoint's file restores all of it, or says why it restores nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.errors import CheckpointError
from spanmill.journal.checkpoint_format import MAGIC, decode_checkpoint, encode_checkpoint
from spanmill.journal.state import State, decode_state, encode_state

_STATES: dict[str, State] = {
    "series": {"values": np.arange(5, dtype=np.float64), "names": ["a", "b"]},
    "nothing": {},
    "window": {"slots": np.zeros((2, 3), np.uint16), "from": 7, "seen": True, "odd": None},
}


def written() -> bytes:
    return b"".join(encode_checkpoint("1.2", 41, 10**18, 2 * 10**18, _STATES.items()))


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    read = decode_checkpoint(written())
    assert (read.spanmill, read.position) == ("1.2", 41)
    assert (read.arrival_ns, read.time_ns) == (10**18, 2 * 10**18)
    assert list(read.states) == list(_STATES)
    np.testing.assert_array_equal(read.states["series"]["values"], np.arange(5.0))
    slots = read.states["window"].pop("slots")
    assert (slots.shape, slots.dtype) == ((2, 3), np.uint16)
    assert read.states["window"] == {"from": 7, "seen": True, "odd": None}


def test_every_cut_and_every_flipped_bit_is_found() -> None:
    whole = written()
    for end in range(len(whole)):
        with pytest.raises(CheckpointError):
            decode_checkpoint(whole[:end])
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        with pytest.raises(CheckpointError):
            decode_checkpoint(bytes(damaged))


def test_another_format_is_named() -> None:
    import struct

    import google_crc32c
    import msgspec

    head = msgspec.msgpack.encode({"format": 99, "spanmill": "9.0"})
    content = MAGIC + struct.pack("<II", len(head), google_crc32c.value(head)) + head
    with pytest.raises(CheckpointError, match=r"^spanmill 9\.0 wrote it in format 99, and this"):
        decode_checkpoint(content)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4))
def test_any_state_comes_back(state: State) -> None:
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("dtype", ["f8", "i8", "u8", "u1", "?", "i4", "u2"])
def test_arrays_keep_their_type_and_shape(dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)[:, ::2]
    read = decode_state(encode_state({"array": array}))["array"]
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    read[0] = 0  # it can be written to


def test_what_is_no_state_is_refused_before_anything_is_written() -> None:
    with pytest.raises(TypeError, match="a state can't hold a Decoder"):
        encode_state({"x": type("Decoder", (), {})()})
    with pytest.raises(TypeError, match="ndarray"):
        encode_state({"x": np.array([object()])})


def test_bytes_that_are_no_state_are_refused() -> None:
    for body in (b"", b"\xc1", b"\x93\x01", encode_state({"a": 1})[:-1], b"\x01"):
        with pytest.raises(CheckpointError):
            decode_state(body)
