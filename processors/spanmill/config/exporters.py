"""Where traces and metrics are sent over OTLP."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from spanmill.config.endpoints import Destination, Protocol, parse_destination
from spanmill.config.headers import Headers, not_for_grpc
from spanmill.config.section import Section
from spanmill.config.value_types import (
    Bytes,
    FilePath,
    Flag,
    MessageBytes,
    Seconds,
    conflict,
)

_MIB: Final = 1 << 20
_MAX_REQUEST_BYTES: Final = {"http/protobuf": 20 * _MIB, "grpc": 4 * _MIB}
"""What receivers of each protocol take when nobody has set them up otherwise."""


class RetryConfig(Section):
    """Waiting between attempts; jitter is added, and what the peer asks for is honoured."""

    initial_interval: Seconds = Field(default=0.5, description="The wait before the first retry.")
    max_interval: Seconds = Field(default=30.0, description="The longest wait.")
    multiplier: Annotated[float, Field(strict=True, ge=1, le=100, allow_inf_nan=False)] = Field(
        default=2.0, description="Each wait is this many times the one before."
    )

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.initial_interval > self.max_interval:
            raise conflict(
                f"initial_interval ({self.initial_interval:g} s) is longer than max_interval "
                f"({self.max_interval:g} s)",
                "initial_interval",
                "max_interval",
            )
        return self


class TlsConfig(Section):
    """Encryption to a destination; without a file the system's certificates are trusted."""

    ca_file: FilePath | None = Field(
        default=None,
        description="Certificates to trust (PEM) instead of the system's.",
    )
    cert_file: FilePath | None = Field(
        default=None, description="Our certificate (PEM); goes with `key_file`."
    )
    key_file: FilePath | None = Field(
        default=None, description="Our private key (PEM); goes with `cert_file`."
    )

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if self.cert_file is not None and self.key_file is None:
            raise conflict("needs key_file beside it", "cert_file", "key_file")
        if self.key_file is not None and self.cert_file is None:
            raise conflict("needs cert_file beside it", "key_file", "cert_file")
        return self


def _default_request_bytes(data: dict[str, Any]) -> int:
    return _MAX_REQUEST_BYTES[data.get("protocol", "http/protobuf")]


class OtlpDestinationConfig(Section):
    """A destination of one signal."""

    endpoint: str = Field(
        description="The base URL http(s)://host[:port][/path], to which /v1/traces or "
        "/v1/metrics is added; for grpc host:port or http(s)://host:port."
    )
    protocol: Protocol = Field(default="http/protobuf", description="How OTLP is spoken.")
    headers: Headers = Field(
        default_factory=dict, description="Sent with every request; never shown."
    )
    compression: Literal["none", "gzip"] = Field(default="none", description="Of each request.")
    timeout: Seconds = Field(default=10.0, description="The longest time of one attempt.")
    max_request_bytes: MessageBytes = Field(
        default_factory=_default_request_bytes,
        description="The largest request, uncompressed: small ones are joined (up to 2MiB), larger "
        "ones split. By default 20MiB for http/protobuf and 4MiB for grpc.",
    )
    required: Flag = Field(
        default=False,
        description="Never give up what the destination lacks: when `max_backlog` waits for it, "
        "clients are told to try again later.",
    )
    max_backlog: Bytes | None = Field(
        default=None,
        description="What may wait for the destination, uncompressed; beyond it the oldest "
        "expires and is counted, unless the destination is `required`. By default 1GiB, and 64MiB "
        "with `durability: memory`.",
    )
    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(
        default=4,
        description="Requests under way at once, in no certain order; 1 keeps the order.",
    )
    retry: RetryConfig = Field(default=RetryConfig(), description="When an attempt fails.")
    tls: TlsConfig | None = Field(
        default=None, description="Encryption; https:// alone trusts the system's certificates."
    )

    @property
    def destination(self) -> Destination:
        """The endpoint taken apart, as the protocol has it."""
        return parse_destination(self.endpoint, self.protocol, has_tls=self.tls is not None)

    @model_validator(mode="after")
    def _endpoint_fits_protocol(self) -> Self:
        try:
            parse_destination(self.endpoint, self.protocol, has_tls=self.tls is not None)
        except ValueError as error:
            raise conflict(str(error), "endpoint", "protocol", "tls") from None
        return self

    @model_validator(mode="after")
    def _headers_fit_protocol(self) -> Self:
        wrong = not_for_grpc(self.headers) if self.protocol == "grpc" else []
        if wrong:
            raise conflict(
                f"{', '.join(map(repr, wrong))} can't be sent over grpc", "headers", "protocol"
            )
        return self


class OtlpTracesConfig(OtlpDestinationConfig):
    """A destination of traces; it gets every accepted span."""


class OtlpMetricsConfig(OtlpDestinationConfig):
    """A destination of metrics: those that services send, and those derived from spans."""

    max_in_flight: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(
        default=1,
        description="Requests of services' metrics under way at once; more than 1 may change the "
        "order of points, which Prometheus refuses.",
    )
    service_metrics: Flag = Field(
        default=True,
        description="Forward what services send as OTLP metrics, as the bytes that were received.",
    )
    derived: Flag = Field(
        default=True,
        description="Push what is derived from spans, and spanmill's own metrics.",
    )
    interval: Seconds = Field(default=15.0, description="How often derived metrics are pushed.")
    histograms: Literal["native", "classic"] = Field(
        default="native",
        description="The one form in which derived histograms are pushed; those without a native "
        "form are always classic.",
    )
    instance_id: Annotated[str, Field(strict=True, min_length=1, max_length=1024)] | None = Field(
        default=None,
        description="What is pushed as service.instance.id; by default HOST:PORT, of the scrape "
        "endpoint. Must stay the same over restarts, and differ between replicas.",
    )

    @model_validator(mode="after")
    def _gets_something(self) -> Self:
        if not (self.service_metrics or self.derived):
            raise conflict(
                "service_metrics and derived are both off: nothing would be sent",
                "service_metrics",
                "derived",
            )
        return self
