"""What a request takes in memory while it is read, inflated and decoded, before it does."""

from __future__ import annotations

from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from spanmill.journal.log import Signal

SMALL_BYTES: Final = 1 << 20
"""Up to this size a request is taken to be the worst of its length; above, it is looked at."""

_WORST: Final = 28
"""Bytes for each byte of protobuf: an empty message takes 2 on the wire and 54 as an object."""

_MESSAGE_BYTES: Final = 60
_VALUE_BYTES: Final = 3
_BUCKET_BYTES: Final = 9
_SAMPLES: Final = 1 << 14
_MARGIN: Final = 0.02  # five standard errors of a share that is estimated from so many samples

_JSON_BYTES: Final = 4
_JSON_OBJECT_BYTES: Final = 140
_JSON_VALUE_BYTES: Final = 40


def _tags(*numbers: int) -> npt.NDArray[np.bool_]:
    """Which bytes can be the tag of a field with a message in it."""
    table = np.zeros(256, np.bool_)
    table[[number << 3 | 2 for number in numbers]] = True
    return table


_MESSAGES: Final = {
    # Without a list of pairs (6), whose tag is the digit 2: there is a pair in each that isn't
    # empty.
    Signal.TRACES: _tags(1, 2, 3, 4, 5, 9, 11, 13, 15),
    Signal.METRICS: _tags(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12),
}


def protobuf_cost(signal: Signal, body: bytes, random: Random) -> int:
    """Bytes that decoding takes at the most, beside the body itself.

    Measured at the worst requests for their length (docs/receiving.md): the protobuf library
    takes 54 bytes for an empty message, and 8 for a bucket that was one byte. How many messages a
    large body has is estimated by the bytes at 16,384 places that nobody can foresee: those that
    could be a message's tag are counted, so that text and the tags of texts make the estimate
    larger.
    """
    size = len(body)
    if size <= SMALL_BYTES:
        return size * _WORST
    step = size // _SAMPLES
    step = random.randrange(step // 2, step) | 1
    sample = np.frombuffer(body, np.uint8)[random.randrange(step) :: step]
    share = float(np.count_nonzero(_MESSAGES[signal][sample])) / len(sample) + _MARGIN
    plain = _BUCKET_BYTES if signal is Signal.METRICS else _VALUE_BYTES
    return min(size * _WORST, round(size * (plain + _MESSAGE_BYTES * share)))


def json_cost(body: bytes) -> int:
    """Bytes that converting to protobuf takes at the most, beside the body itself.

    An object takes 140 (msgspec's, and then the protobuf library's), a value 40, text four times
    its length.
    """
    objects = body.count(b"{") + body.count(b"[")
    return (
        len(body) * _JSON_BYTES
        + objects * _JSON_OBJECT_BYTES
        + body.count(b",") * _JSON_VALUE_BYTES
    )
