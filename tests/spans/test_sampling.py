"""How many spans one stands for."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.spans.batch import AttributeValue
from spanmill.spans.sampling import MAX_WEIGHT, threshold_weight, weighted_by
from spanmill.testing import Span, batch_of
from spans.both_decoders import BothDecoders


@pytest.mark.parametrize(
    ("trace_state", "weight"),
    [
        ("ot=th:0", 1.0),
        ("ot=th:8", 2.0),
        ("ot=th:c", 4.0),
        ("ot=th:fd70a4", 1 / (1 - 0xFD70A4 / 2**24)),  # 1 %
        ("ot=rv:123456789abcde;th:c", 4.0),
        ("ot=th:c;rv:123456789abcde", 4.0),
        ("vendor=th:f,ot=th:8,other=1", 2.0),
        ("vendor=1 , \tot=th:8 ,other=1", 2.0),
        ("ot=th:ffffffffffffff", MAX_WEIGHT),  # 2^56, as far as it is believed
    ],
)
def test_a_threshold_gives_one_over_the_probability(trace_state: str, weight: float) -> None:
    assert threshold_weight(trace_state) == weight


@pytest.mark.parametrize(
    "trace_state",
    [
        *("", "ot=", "ot=th:", "ot=th:xyz", "ot=th:C", "ot=th:123456789abcdef", "ot=rv:th:8"),
        *("th:8", "pot=th:8", "ot=rth:8", "vendor=ot=th:8", "ot=th:-8", "ot=th:8 8", "ot=th:8:8"),
    ],
)
def test_what_is_no_threshold_counts_once(trace_state: str) -> None:
    assert threshold_weight(trace_state) == 1.0


@given(st.integers(0, 2**56 - 1))
def test_every_threshold_gives_the_weight_that_exact_arithmetic_gives(threshold: int) -> None:
    digits = f"{threshold:014x}".rstrip("0") or "0"
    exact = min(Fraction(2**56, 2**56 - threshold), Fraction(MAX_WEIGHT))
    assert threshold_weight(f"ot=th:{digits}") == float(exact)


@given(st.text(max_size=200))
def test_no_trace_state_gives_less_than_one_or_more_than_the_bound(trace_state: str) -> None:
    assert 1 <= threshold_weight(trace_state) <= MAX_WEIGHT


def test_the_decoder_weights_each_span_by_its_own_trace_state() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number, trace_state in enumerate(["", "ot=th:8", "vendor=1", "ot=th:c"], start=1):
        spans.add(
            trace_id=bytes([number] * 16), span_id=bytes([number] * 8)
        ).trace_state = trace_state
    spans.insert(1, spans.add(trace_id=b"short", span_id=bytes([9] * 8), trace_state="ot=th:f"))
    del spans[-1]
    decoded = BothDecoders(()).decode(request.SerializeToString())
    assert decoded.rejected_spans == 1
    assert decoded.batch.weight.tolist() == [1.0, 2.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        *((10, 10.0), (2.5, 2.5), ("16", 16.0), (1, 1.0), (2**40, MAX_WEIGHT)),
        # What is no multiplier leaves the weight that the span had.
        *((0, 3.0), (-4, 3.0), (0.5, 3.0), ("often", 3.0), (True, 3.0), (None, 3.0), ((5,), 3.0)),
        *((float("nan"), 3.0), (float("inf"), 3.0), ("1e999", 3.0), ("1_000", 3.0), (10**400, 3.0)),
    ],
)
def test_an_attribute_can_carry_the_multiplier(value: AttributeValue, weight: float) -> None:
    spans = [Span(weight=3.0, attributes={"SampleRate": value}), Span(weight=7.0)]
    batch = weighted_by(batch_of(spans, ["SampleRate"]), "SampleRate")
    assert batch.weight.tolist() == [weight, 7.0]


def test_without_the_attribute_the_weights_stay() -> None:
    batch = weighted_by(batch_of([Span(weight=3.0), Span()], ["SampleRate"]), "SampleRate")
    assert batch.weight.tolist() == [3.0, 1.0]
