"""Accept and Accept-Encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.exporters.exposition import Format, accepts_gzip, negotiate

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

# What Prometheus 3 sends by default, and once native histograms are scraped.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_NATIVE = (
    f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        (BROWSER, Format.TEXT),
        (PROMETHEUS, Format.OPENMETRICS),
        (PROMETHEUS_NATIVE, Format.PROTOBUF),
        ("text/plain", Format.TEXT),
        ("text/*", Format.TEXT),
        ("application/*", Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", Format.OPENMETRICS_0_0_1),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        (PROTOBUF, Format.PROTOBUF),
        (PROTOBUF.replace("delimited", '"delimited"').replace(";", " ; "), Format.PROTOBUF),
        (PROTOBUF.replace("delimited", "text"), Format.TEXT),
        (PROTOBUF.replace(";encoding=delimited", ""), Format.TEXT),
        (PROTOBUF.replace("MetricFamily", "Other"), Format.TEXT),
    ],
)
def test_the_format_is_the_one_asked_for_or_text(accept: str, form: Format) -> None:
    assert negotiate(accept).format is form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (f"{PROTOBUF};q=0.4,{OPENMETRICS};q=0.5", Format.OPENMETRICS),
        (f"text/plain;q=0.5,{OPENMETRICS}", Format.OPENMETRICS),
        (f"{OPENMETRICS},{PROTOBUF}", Format.OPENMETRICS),
        (f"{PROTOBUF},{OPENMETRICS}", Format.PROTOBUF),
        (f"*/*,{OPENMETRICS};q=0.5", Format.TEXT),
        (f"{OPENMETRICS};q=0,*/*;q=0.1", Format.TEXT),
        (f"text/plain;q=0,{PROTOBUF};q=0,*/*;q=0.1", Format.OPENMETRICS),
        ("text/plain;q=0", Format.TEXT),
        ("*/*;q=0", Format.TEXT),
        (f"{OPENMETRICS};q=2,{PROTOBUF};q=0.1", Format.PROTOBUF),
        (f"{OPENMETRICS};q=nan,{PROTOBUF};q=0.1", Format.PROTOBUF),
        (f"{OPENMETRICS};q=much,{PROTOBUF};q=0.1", Format.PROTOBUF),
    ],
)
def test_quality_decides_then_the_order_of_the_header(accept: str, form: Format) -> None:
    assert negotiate(accept).format is form


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        (
            PROMETHEUS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        (
            f"{OPENMETRICS};escaping=underscores",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            f"{OPENMETRICS};escaping=evil",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (
            PROMETHEUS_NATIVE,
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited",
        ),
    ],
)
def test_the_content_type_names_the_format_and_the_escaping_asked_for(
    accept: str, content_type: str
) -> None:
    assert negotiate(accept).content_type == content_type


@given(st.text() | st.lists(st.sampled_from([*",;=/*q. \t", "text", "0", PROTOBUF])).map("".join))
def test_no_header_is_too_odd(accept: str) -> None:
    assert negotiate(accept).format in Format
    assert accepts_gzip(accept) in {True, False}


@pytest.mark.parametrize("element", [",", "a/b;", ";q=0.5,", "*/*;q=0.001,", "text/plain;x="])
def test_only_the_beginning_of_an_endless_header_is_read(element: str) -> None:
    assert negotiate(element * 100_000 + "," + OPENMETRICS).format is Format.TEXT
    assert negotiate(OPENMETRICS + "," + element * 100_000).format is Format.OPENMETRICS


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("x-gzip", True),
        ("GZIP;q=0.5", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*, gzip;q=0.0", False),
        ("identity", False),
        ("br, zstd", False),
        ("gzip;q=x", False),
    ],
)
def test_gzip_is_used_where_it_is_accepted(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted
