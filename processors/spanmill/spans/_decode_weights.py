"""Kernel: the sampling thresholds in trace states to weights, as spans/sampling.py reads them.

Functions that run without the GIL raise no Python errors, so none can swallow one.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_GET_SIZE
from cython.cimports.libc.stdint import int64_t, uint8_t, uint64_t
from cython.cimports.libc.string import memcmp

SOURCE_SHA256: str = ""

Bytes = cython.typedef(cython.pointer(uint8_t))

_ALL = cython.declare(uint64_t, 1 << 56)
_LEAST_KEPT = cython.declare(uint64_t, 1 << 36)
_WIDE = cython.declare(uint64_t, 1 << 62)
_MAX_WEIGHT = cython.declare(cython.double, 1 << 20)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def all_over(kept: uint64_t) -> cython.double:
    """2^56 / kept, rounded correctly, as Python divides integers; at most 2^20."""
    if kept <= _LEAST_KEPT:
        return _MAX_WEIGHT
    quotient: uint64_t = _ALL // kept
    rest: uint64_t = _ALL % kept
    unit: cython.double = 1
    while quotient < _WIDE:
        rest += rest
        quotient += quotient
        unit /= 2
        if rest >= kept:
            rest -= kept
            quotient += 1
    if rest:
        quotient |= 1  # below the bits that a double has: it rounds as the whole fraction would
    return cython.cast(cython.double, quotient) * unit


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def member_weight(at: Bytes, end: Bytes) -> cython.double:
    """The weight by the threshold in the value of the member `ot` (see spans/sampling.py)."""
    while True:
        if end - at > 3 and memcmp(at, b"th:", 3) == 0:
            digit: Bytes = at + 3
            digits: cython.int = 0
            threshold: uint64_t = 0
            while digit < end and digits < 15:
                if 48 <= digit[0] <= 57:
                    threshold = threshold << 4 | (digit[0] - 48)
                elif 97 <= digit[0] <= 102:
                    threshold = threshold << 4 | (digit[0] - 87)
                else:
                    break
                digits += 1
                digit += 1
            if 1 <= digits <= 14:
                after: Bytes = digit
                while after < end and (after[0] == 32 or after[0] == 9):
                    after += 1
                last_line: cython.bint = end - after == 1 and after[0] == 10
                if after == end or last_line or digit[0] == 59:
                    return all_over(_ALL - (threshold << (4 * (14 - digits))))
        while at < end and at[0] != 59:  # ;
            at += 1
        if at == end:
            return 1.0
        at += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def state_weight(at: Bytes, length: int64_t) -> cython.double:
    """How many spans one with this trace state stands for."""
    end: Bytes = at + length
    while True:
        stop: Bytes = at
        while stop < end and stop[0] != 44:  # ,
            stop += 1
        while at < stop and (at[0] == 32 or at[0] == 9):
            at += 1
        if stop - at >= 3 and memcmp(at, b"ot=", 3) == 0:
            return member_weight(at + 3, stop)
        if stop == end:
            return 1.0
        at = stop + 1


def read_weights(body: bytes, states: cython.uint[:, ::1], weights: cython.double[::1]) -> None:
    """Write the weights of the spans that have a trace state; the others stay as they are.

    `states` has a line for each: its row in `weights`, and the offset and length of its trace
    state in the body. Raises IndexError, with some weights written, where one is outside.
    """
    start: Bytes = cython.cast(Bytes, PyBytes_AS_STRING(body))
    size: int64_t = PyBytes_GET_SIZE(body)
    line: cython.Py_ssize_t
    inside: cython.bint = True
    with cython.nogil:
        for line in range(states.shape[0]):
            row: int64_t = states[line, 0]
            offset: int64_t = states[line, 1]
            length: int64_t = states[line, 2]
            inside = row < weights.shape[0] and offset + length <= size
            if not inside:
                break
            weights[row] = state_weight(start + offset, length)
    if not inside:
        raise IndexError("a trace state is outside of the request")
