"""How much a request may hold, whatever its size."""

from __future__ import annotations

import pytest

from points.otlp_metrics import gauge, native, number, request
from spanmill.errors import RequestError, TooManyMessagesError
from spanmill.points import decoder
from spanmill.points.decoder import decode_metrics
from spanmill.points.wire import MAX_MESSAGES, MAX_PARTS, check_size
from spans.generated import field

POINT = field(1, b"")
ATTRIBUTE = field(7, b"")
NESTED = field(2, field(5, field(1, b"") * 1000))


def metric(points: bytes) -> bytes:
    """A request of one gauge; with its data it is four messages and the points."""
    return field(1, field(2, field(2, field(1, b"m") + field(5, points))))


TOO_MANY = {
    "points": metric(POINT * MAX_MESSAGES),
    "points of some metrics": field(
        1, field(2, field(2, field(7, POINT * 1000)) * (MAX_MESSAGES // 1000))
    ),
    "metrics": field(1, field(2, field(2, b"") * MAX_MESSAGES)),
    "scopes": field(1, field(2, b"") * MAX_MESSAGES),
    "resources": field(1, b"") * (MAX_MESSAGES + 1),
    "attributes of a point": metric(field(1, ATTRIBUTE * MAX_PARTS)),
    "exemplars of a point": metric(field(1, field(5, b"") * MAX_PARTS)),
    "values in values": metric(field(1, field(7, NESTED) * (MAX_PARTS // 1000))),
    "attributes of a resource": field(1, field(1, field(1, b"") * MAX_PARTS)),
    "attributes of a scope": field(1, field(2, field(1, field(3, b"") * MAX_PARTS))),
    "metadata of a metric": field(1, field(2, field(2, field(12, b"") * MAX_PARTS))),
    "buckets of one byte": field(
        1,
        field(2, field(2, field(10, field(1, field(8, field(2, b"\x01" * (8 * MAX_PARTS + 8))))))),
    ),
    "quantiles": field(1, field(2, field(2, field(11, field(1, field(6, b"") * MAX_PARTS))))),
}


@pytest.mark.parametrize("body", TOO_MANY.values(), ids=TOO_MANY.keys())
def test_a_request_of_too_many_messages_is_refused_before_they_are_made(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(decoder, "ExportMetricsServiceRequest")
    with pytest.raises(TooManyMessagesError, match=r"^the request has more than "):
        decode_metrics(body)


def test_as_many_points_as_allowed_are_read() -> None:
    decoded = decode_metrics(metric(POINT * (MAX_MESSAGES - 4)))
    assert decoded.rejected == {"no_value": MAX_MESSAGES - 4}


def test_a_point_of_a_million_attributes_is_read() -> None:
    point = number(1).SerializeToString() + field(7, field(1, b"k")) * 1_000_000
    assert len(decode_metrics(metric(field(1, point))).batch) == 1


def test_what_the_walk_refuses_the_library_refuses() -> None:
    broken = metric(POINT * MAX_MESSAGES)[:-1]
    with pytest.raises(RequestError):
        check_size(broken)


def test_a_small_request_is_not_walked() -> None:
    check_size(b"\xff" * (2 * MAX_MESSAGES))
    check_size(request(gauge(number(1))) + native([1]).SerializeToString())
