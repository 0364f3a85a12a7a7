from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmill.config.endpoints import (
    Destination,
    ListenAddress,
    Protocol,
    parse_destination,
    parse_listen,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:4317", "127.0.0.1", 4317),
        ("localhost:0", "localhost", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::1]:4317", "::1", 4317),
        ("my-host_1.example:80", "my-host_1.example", 80),
    ],
)
def test_where_to_listen_is_host_and_port(text: str, host: str, port: int) -> None:
    address = parse_listen(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("4317", "is not host:port"),
        ("", "is not host:port"),
        ("localhost", "is not host:port"),
        ("localhost:", "is not host:port"),
        ("::1:4317", "is not host:port"),
        ("http://localhost:4317", "is not host:port"),
        ("unix:/run/s", "is not host:port"),
        (":4317", "write 0.0.0.0:4317 to listen on every address"),
        ("localhost:65536", "port 65536 is over 65535"),
        ("999.1.1.1:80", "is no IP address"),
        ("[::g]:80", "is no IP address"),
        ("[localhost]:80", "is no IPv6 address"),
        ("-x:80", "is no host name"),
        ("a..b:80", "is no host name"),
    ],
)
def test_another_form_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_listen(text)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("[::]:1", "[::1]:1", True),
        ("[::1]:1", "[0:0::1]:1", True),
        ("[::1]:1", "127.0.0.1:1", False),
        ("Host:1", "host:1", True),
        ("host:1", "127.0.0.1:1", False),
    ],
)
def test_two_servers_meet_on_one_port(one: str, other: str, meet: bool) -> None:
    assert parse_listen(one).overlaps(parse_listen(other)) is meet
    assert parse_listen(other).overlaps(parse_listen(one)) is meet


@pytest.mark.parametrize(
    ("text", "protocol", "destination"),
    [
        ("http://h", "http/protobuf", Destination(False, "h", 80, "")),
        ("https://h", "http/protobuf", Destination(True, "h", 443, "")),
        ("http://127.0.0.1:4418/", "http/protobuf", Destination(False, "127.0.0.1", 4418, "")),
        ("https://h/otlp/", "http/protobuf", Destination(True, "h", 443, "/otlp")),
        ("http://[::1]:4318", "http/protobuf", Destination(False, "::1", 4318, "")),
        ("jaeger:4317", "grpc", Destination(False, "jaeger", 4317, "")),
        ("http://jaeger:4317", "grpc", Destination(False, "jaeger", 4317, "")),
        ("https://[::1]:4317", "grpc", Destination(True, "::1", 4317, "")),
    ],
)
def test_a_destination_is_read_as_its_protocol_has_it(
    text: str, protocol: Protocol, destination: Destination
) -> None:
    assert parse_destination(text, protocol, has_tls=False) == destination


def test_a_bare_address_is_encrypted_where_tls_is_set_up() -> None:
    assert parse_destination("h:1", "grpc", has_tls=True).secure


@pytest.mark.parametrize(
    ("text", "protocol", "reason"),
    [
        ("h:4318", "http/protobuf", "must begin with http:// or https://"),
        ("ftp://h", "http/protobuf", "must begin with http:// or https://, not 'ftp://'"),
        ("http://", "http/protobuf", "names no host"),
        ("http://h:0", "http/protobuf", "names no port"),
        ("http://h:99999", "http/protobuf", "is no URL"),
        ("http://h h", "http/protobuf", "is no host name"),
        ("http://h/v1/traces", "http/protobuf", "leave out /v1/traces"),
        ("http://h#x", "http/protobuf", r"no '\?' or '#'"),
        ("http://h/path:1", "grpc", "no path"),
        ("http://h", "grpc", "needs a port"),
        ("h", "grpc", "is not host:port"),
        ("h:0", "grpc", "can't send to port 0"),
    ],
)
def test_a_destination_that_can_not_be_reached_is_refused(
    text: str, protocol: Protocol, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_destination(text, protocol, has_tls=False)


def test_plain_text_beside_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="write https://"):
        parse_destination("http://h:1", "grpc", has_tls=True)


@pytest.mark.parametrize("text", ["http://me:geheim@h", "me:geheim@h:1", "http://h/?key=geheim"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(
    text: str, protocol: Protocol
) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        parse_destination(text, protocol, has_tls=False)
    assert "geheim" not in str(refused.value)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_written_address_reads_as_the_same(host: object, port: int) -> None:
    address = ListenAddress(str(host), port)
    assert parse_listen(str(address)) == address
    destination = Destination(True, str(host), port, "")
    for protocol in ("http/protobuf", "grpc"):
        assert parse_destination(destination.url, protocol, has_tls=True) == destination
