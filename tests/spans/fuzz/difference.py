"""Where two decoders disagree about one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmill.errors import TooManyMessagesError, UndecodableError
from spanmill.spans.batch import ABSENT, AttributeValue, Coded, Resource, SpanBatch
from spanmill.spans.decoder import DecodedRequest, Decoder

COLUMNS: Final = (
    "kind",
    "status",
    "start",
    "end",
    "duration",
    "trace_id",
    "span_id",
    "parent_id",
    "size",
    "weight",
    "span_start",
    "span_length",
)
"""The columns that are arrays of their values."""

T = TypeVar("T")

Outcome = DecodedRequest | str
"""What a decoder made of a request: its columns, or the name of the error that it raised."""


def outcome(decoder: Decoder, body: bytes) -> Outcome:
    """Decode, and name the error where it is one that a decoder may raise."""
    try:
        return decoder.decode(body)
    except (UndecodableError, TooManyMessagesError) as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  # any other one is what a fuzzer looks for
        return f"{type(error).__name__}: {error}"


def difference(oracle: Outcome, subject: Outcome) -> str | None:
    """The first thing in which the second outcome is not the first, in one line."""
    if isinstance(oracle, str) or isinstance(subject, str):
        if oracle == subject:
            return None
        return f"{_said(oracle)}, but {_said(subject)}"
    if dict(oracle.rejected) != dict(subject.rejected):
        return f"rejected {dict(oracle.rejected)}, but {dict(subject.rejected)}"
    return _batch_difference(oracle.batch, subject.batch)


def _said(found: Outcome) -> str:
    return found if isinstance(found, str) else f"{len(found.batch)} spans accepted"


def _batch_difference(oracle: SpanBatch, subject: SpanBatch) -> str | None:
    if len(oracle) != len(subject):
        return f"{len(oracle)} spans, but {len(subject)}"
    if oracle.payload != subject.payload:
        return f"payload {oracle.payload.hex()}, but {subject.payload.hex()}"
    for name in COLUMNS:
        expected, found = getattr(oracle, name), getattr(subject, name)
        if expected.dtype != found.dtype or expected.shape != found.shape:
            return f"{name} is {found.dtype}{list(found.shape)}, not {expected.dtype}"
        if expected.tobytes() != found.tobytes():
            return f"{name} {expected.tolist()}, but {found.tolist()}"
    return _coded_differences(oracle, subject) or _links_difference(subject)


def _links_difference(batch: SpanBatch) -> str | None:
    """Which spans have links, where a decoder says so: the oracle's batches don't."""
    if batch.linked is None:
        return None
    expected = [bool(Span.FromString(batch.span_bytes(row)).links) for row in range(len(batch))]
    found = batch.linked.tolist()
    return None if expected == found else f"linked {expected}, but {found}"


def _coded_differences(oracle: SpanBatch, subject: SpanBatch) -> str | None:
    if oracle.attributes.keys() != subject.attributes.keys():
        return f"attributes {list(oracle.attributes)}, but {list(subject.attributes)}"
    unequal = {
        "resource": _coded_difference(oracle.resource, subject.resource),
        "scope": _coded_difference(oracle.scope, subject.scope),
        "name": _coded_difference(oracle.name, subject.name),
    }
    for key, column in oracle.attributes.items():
        unequal[key] = _coded_difference(column, subject.attributes[key])
    found = [f"{name}: {what}" for name, what in unequal.items() if what is not None]
    return "; ".join(found) or None


def _coded_difference(oracle: Coded[T], subject: Coded[T]) -> str | None:
    if subject.codes.dtype != oracle.codes.dtype or subject.codes.shape != oracle.codes.shape:
        return f"codes are {subject.codes.dtype}{list(subject.codes.shape)}"
    codes = subject.codes.tolist()
    if codes and not ABSENT <= min(codes) <= max(codes) < len(subject.values):
        return f"the codes {codes} are out of the {len(subject.values)} values"
    expected = values_of(oracle)
    found = values_of(subject)
    return None if expected == found else f"{expected}, but {found}"


def values_of(column: Coded[T]) -> list[str]:
    """The value of each row, in words in which values of different types never agree."""
    words = [in_words(value) for value in column.values]
    words.append("absent")  # which ABSENT, -1, finds
    return [words[code] for code in column.codes.tolist()]


def in_words(value: object) -> str:
    """A value of a coded column in words: True, 1 and 1.0 differ, and so do 0.0 and -0.0."""
    if isinstance(value, Resource):
        return in_words(value.attributes)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {in_words(value[key])}" for key in value) + "}"
    if isinstance(value, tuple):
        items: Sequence[AttributeValue] = value
        return "(" + ", ".join(in_words(item) for item in items) + ")"
    return repr(value)
