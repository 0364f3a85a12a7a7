"""Spans that make little sense: taken or rejected alone, and nobody else notices."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from receivers.clients import Answer, Client
from receivers.otlp_requests import NOW_NS, request, span
from receivers.receiver_pipeline import ReceiverPipeline

pytestmark = pytest.mark.usefixtures("neighbours")


def send(client: Client, *spans: Span) -> Answer:
    """The answer to a request with these spans."""
    return client.send(request(*spans).SerializeToString())


def sent_on(pipeline: ReceiverPipeline) -> list[Span]:
    """The spans of the last request, as a destination gets them."""
    message = ExportTraceServiceRequest.FromString(pipeline.records[-1].entry.payload)
    return list(message.resource_spans[0].scope_spans[0].spans)


def test_bad_input_11_a_nul_in_a_name_a_key_and_a_value(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    attribute = KeyValue(key="a\0key", value=AnyValue(string_value="a\0value"))
    with_nul = span("a\0name", attributes=[attribute])

    answer = send(client, with_nul)

    assert answer.ok
    assert not answer.message
    assert pipeline.batches[-1].name.value(0) == "a\0name"
    assert sent_on(pipeline) == [with_nul]


def test_bad_input_15_an_end_before_the_start_counts_as_no_time(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    backwards = span(start_time_unix_nano=NOW_NS, end_time_unix_nano=NOW_NS - 1)

    answer = send(client, span(seed=2), backwards)

    assert answer.ok
    assert answer.rejected == 0
    assert "1 span accepted with a duration of 0" in answer.message
    assert pipeline.batches[-1].duration.tolist() == [5_000_000, 0]
    assert sent_on(pipeline)[1] == backwards


@pytest.mark.parametrize(
    ("start", "end", "warned"), [(0, 0, False), (0, NOW_NS, False), (NOW_NS, 0, True)]
)
def test_bad_input_16_a_start_or_an_end_of_0(
    pipeline: ReceiverPipeline, client: Client, start: int, end: int, warned: bool
) -> None:
    unset = span(start_time_unix_nano=start, end_time_unix_nano=end)

    answer = send(client, unset)

    assert answer.ok
    assert bool(answer.message) == warned
    assert pipeline.batches[-1].duration.tolist() == [max(end - start, 0)]
    assert sent_on(pipeline) == [unset]


TIMES = {
    "1970": (0, 10**9),
    "2100": (4_102_444_800 * 10**9, 4_102_444_801 * 10**9),
    "the last": (2**64 - 1, 2**64 - 1),
    "a duration over 2^53": (1, 2**60),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_bad_input_17_18_times_from_1970_to_the_last_nanosecond(
    pipeline: ReceiverPipeline, client: Client, times: tuple[int, int]
) -> None:
    start, end = times

    answer = send(client, span(start_time_unix_nano=start, end_time_unix_nano=end))

    assert answer.ok
    assert not answer.message
    assert int(pipeline.batches[-1].duration[0]) == end - start


def test_bad_input_19_an_unknown_enum_value(pipeline: ReceiverPipeline, client: Client) -> None:
    unknown = span(kind=99, status=Status(code=77))  # type: ignore[arg-type]  # that is the point

    assert send(client, unknown).ok
    assert (pipeline.batches[-1].kind[0], pipeline.batches[-1].status[0]) == (0, 0)
    assert sent_on(pipeline) == [unknown]


@pytest.mark.parametrize("length", [0, 7, 15, 17, 32])
def test_bad_input_20_trace_ids_of_another_length(client: Client, length: int) -> None:
    answer = send(client, span(trace_id=b"1" * length))

    assert answer.ok
    assert answer.rejected == 1
    assert "trace id" in answer.message


def test_bad_input_21_own_parents_and_cycles_are_taken(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    own_parent = span(span_id=b"1" * 8, parent_span_id=b"1" * 8)
    cycle = [
        span(span_id=b"2" * 8, parent_span_id=b"3" * 8),
        span(span_id=b"3" * 8, parent_span_id=b"2" * 8),
    ]

    assert send(client, own_parent, *cycle).ok
    assert sent_on(pipeline) == [own_parent, *cycle]


def test_bad_input_22_a_span_sent_again_is_a_span_again(
    pipeline: ReceiverPipeline, client: Client
) -> None:
    before = pipeline.spans("accepted")

    assert send(client, span(), span()).ok
    assert send(client, span()).ok
    assert pipeline.spans("accepted") == before + 3


SERVICE_NAMES = {
    "none": None,
    "a number": AnyValue(int_value=7),
    "empty": AnyValue(string_value=""),
    "no value": AnyValue(),
}


@pytest.mark.parametrize("name", SERVICE_NAMES.values(), ids=SERVICE_NAMES)
def test_bad_input_23_a_service_without_a_proper_name(
    pipeline: ReceiverPipeline, client: Client, name: AnyValue | None
) -> None:
    message = request(span())
    attributes = message.resource_spans[0].resource.attributes
    del attributes[:]
    if name is not None:
        attributes.append(KeyValue(key="service.name", value=name))

    assert client.send(message.SerializeToString()).ok
    assert len(pipeline.batches[-1]) == 1


def test_bad_input_23_no_resource(pipeline: ReceiverPipeline, client: Client) -> None:
    message = request(span())
    message.resource_spans[0].ClearField("resource")

    assert client.send(message.SerializeToString()).ok
    resource = pipeline.batches[-1].resource.value(0)
    assert resource is not None
    assert resource.attributes == {}
