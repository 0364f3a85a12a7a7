"""What a part keeps over a restart, as plain values, and as bytes."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
import numpy as np

from spanmill.errors import CheckpointError

State = dict[str, Any]
"""Texts to None, bool, int, float, str, bytes, lists and tuples (both come back as lists), numpy
arrays of numbers or bools, and further such mappings, whose keys are texts.

In place of any of these a function without arguments may stand, which makes it from a copy when
the state is written: for what takes longer than one may hold the books."""

_ARRAY: Final = 1  # MessagePack's extension type of an array: its dtype, its shape, its bytes


class Kept(Protocol):
    """A part whose state a restart brings back.

    The state after `restore(state())` in a new process, made with the same settings, behaves as
    the old one does from there on: the same batches and ticks give the same figures. Caches that
    change no figure are left out.
    """

    def state(self) -> State:
        """A copy of all that it knows, which later changes don't touch; called under the books."""
        ...

    def restore(self, state: State) -> None:
        """Take over a state; called once, before anything else was observed.

        Raises CheckpointError, and changes nothing, where it doesn't fit the settings, is
        damaged, or was written by another version in another form.
        """
        ...


def encode_state(state: State) -> bytes:
    """A state as bytes; TypeError where something in it is no State."""
    return msgspec.msgpack.encode(state, enc_hook=_written)


def decode_state(body: bytes) -> State:
    """The state that these bytes are; raises CheckpointError where they are none."""
    try:
        state = msgspec.msgpack.decode(body, ext_hook=_read)
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
        raise CheckpointError(f"these bytes are no state: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError("these bytes are no state: they hold no mapping")
    return state


def _written(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if callable(value):
        return value()
    if not isinstance(value, np.ndarray) or value.dtype.hasobject or value.dtype.names:
        raise TypeError(f"a state can't hold a {type(value).__name__}")
    little = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
    written = msgspec.msgpack.encode((little.dtype.str, little.shape, little.tobytes()))
    return msgspec.msgpack.Ext(_ARRAY, written)


def _read(code: int, body: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"extension type {code} is unknown")
    dtype, shape, content = msgspec.msgpack.decode(body, type=tuple[str, tuple[int, ...], bytes])
    array = np.frombuffer(content, np.dtype(dtype)).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="))
