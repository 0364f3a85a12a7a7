"""Network addresses as text: where to listen, where to send."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

Protocol = Literal["http/protobuf", "grpc"]

LISTEN_PATTERN: Final = r"^([^:\[\]/@\s]+|\[[0-9A-Fa-f:.%\w]+\]):[0-9]{1,5}$"
"""The form of host:port, as Python and as JSON Schema read it."""

_HOST_PORT: Final = re.compile(r"([^:\[\]/@\s]+|\[[^\[\]]*\]):([0-9]{1,5})")
_ONLY_PORT: Final = re.compile(r":[0-9]{1,5}")
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_ONLY_NUMBERS: Final = re.compile(r"[0-9.]+")

_MAX_PORT: Final = 65535
_TRACES_PATH: Final = "/v1/traces"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens: `host` without brackets, `port` 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def overlaps(self, other: ListenAddress) -> bool:
        """Whether two servers on these addresses would meet on one port."""
        if self.port == 0 or self.port != other.port:
            return False
        mine, theirs = _listened(self.host), _listened(other.host)
        if mine == theirs:
            return True
        if isinstance(mine, str) or isinstance(theirs, str):
            return False
        return mine.version == theirs.version and (mine.is_unspecified or theirs.is_unspecified)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to send: `secure` says TLS or plain text; `path` is empty or begins with `/`."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """host:port, with brackets around an IPv6 address: the target of a gRPC channel."""
        return str(ListenAddress(self.host, self.port))

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end; OTLP's own path goes behind it."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


def parse_listen(text: str) -> ListenAddress:
    """Read `host:port`; raises ValueError with the whole sentence."""
    if _ONLY_PORT.fullmatch(text):
        raise ValueError(f"{text!r} has no host: write 0.0.0.0{text} to listen on every address")
    return _host_port(text)


def parse_destination(text: str, protocol: Protocol, *, has_tls: bool) -> Destination:
    """Read a destination's endpoint as its protocol has it.

    http/protobuf takes http(s)://host[:port][/path]; grpc takes that without a path but with
    a port, or host:port, which is encrypted if a `tls` section stands beside it. Raises
    ValueError with the whole sentence, which never repeats credentials.
    """
    if "@" in text:
        raise ValueError("must not contain a user or a password: put credentials into headers")
    if "?" in text or "#" in text:
        raise ValueError("must end with the path: no '?' or '#' behind it")
    if "://" in text:
        return _from_url(text, protocol, has_tls=has_tls)
    if protocol == "http/protobuf":
        raise ValueError(
            f"must begin with http:// or https:// for protocol http/protobuf; given {shorten(text)}"
        )
    address = _host_port(text)
    if address.port == 0:
        raise ValueError("can't send to port 0")
    return Destination(has_tls, address.host, address.port, "")


def shorten(text: str) -> str:
    """A text as an error shows it: on one line, quoted, and not endless."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _from_url(text: str, protocol: Protocol, *, has_tls: bool) -> Destination:
    try:
        url = urlsplit(text)
        port, host = url.port, url.hostname
    except ValueError as error:
        raise ValueError(f"{shorten(text)} is no URL: {error}") from None
    if url.scheme not in {"http", "https"}:
        raise ValueError(f"must begin with http:// or https://, not {shorten(url.scheme + '://')}")
    if host is None or port == 0:
        raise ValueError(
            f"{shorten(text)} names no {'host' if host is None else 'port to send to'}"
        )
    _check_host(host)
    if url.scheme == "http" and has_tls:
        raise ValueError("is http:// (plain text) with a tls section beside it: write https://")
    if protocol == "grpc":
        _check_grpc(url, port)
    path = url.path.rstrip("/")
    if path.endswith(_TRACES_PATH):
        raise ValueError(f"is the base URL: leave out {_TRACES_PATH}, which is added to it")
    secure = url.scheme == "https"
    return Destination(secure, host, port or (443 if secure else 80), path)


def _check_grpc(url: SplitResult, port: int | None) -> None:
    if url.path not in {"", "/"}:
        raise ValueError("must have no path for protocol grpc")
    if port is None:
        raise ValueError("needs a port for protocol grpc, such as :4317")


def _host_port(text: str) -> ListenAddress:
    parts = _HOST_PORT.fullmatch(text)
    if parts is None:
        raise ValueError(f"{shorten(text)} is not host:port, such as 127.0.0.1:4317 or [::1]:4317")
    bracketed = parts[1].startswith("[")
    host = parts[1].strip("[]")
    if bracketed and ":" not in host:
        raise ValueError(f"{shorten(parts[1])} is no IPv6 address; other hosts have no brackets")
    _check_host(host)
    port = int(parts[2])
    if port > _MAX_PORT:
        raise ValueError(f"port {port} is over {_MAX_PORT}")
    return ListenAddress(host, port)


def _check_host(host: str) -> None:
    """Refuse what is neither an address nor a name; nothing is looked up."""
    if ":" in host or _ONLY_NUMBERS.fullmatch(host):
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f"{shorten(host)} is no IP address") from None
    elif len(host) > 253 or _HOST_NAME.fullmatch(host) is None:
        raise ValueError(f"{shorten(host)} is no host name")


def _listened(host: str) -> IPv4Address | IPv6Address | str:
    try:
        return ip_address(host)
    except ValueError:
        return host.lower()
