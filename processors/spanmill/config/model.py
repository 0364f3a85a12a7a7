"""The configuration's keys, their defaults and the rules between them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from spanmill.config.auth import OtlpAuthConfig, ScrapeAuthConfig
from spanmill.config.cors import CorsConfig
from spanmill.config.endpoints import ListenAddress
from spanmill.config.exemplars import ExemplarsConfig
from spanmill.config.exporters import OtlpMetricsConfig, OtlpTracesConfig
from spanmill.config.once import OnceConfig
from spanmill.config.percentiles import PercentilesConfig
from spanmill.config.processors import ProcessorConfigs
from spanmill.config.sampling import SamplingConfig
from spanmill.config.section import Section
from spanmill.config.service_graph import ServiceGraphConfig
from spanmill.config.service_metrics import ServiceMetricsConfig
from spanmill.config.span_metrics import SpanMetricsConfig
from spanmill.config.state import StateConfig
from spanmill.config.tls import HttpTlsConfig, ServerTlsConfig
from spanmill.config.value_types import (
    Bytes,
    Count,
    DestinationName,
    Flag,
    Listen,
    MessageBytes,
    Seconds,
    conflict,
    none_is_empty,
)

_MIB = 1 << 20


class GrpcReceiverConfig(Section):
    """OTLP over gRPC; `grpc: null` turns it off."""

    endpoint: Listen = Field(
        default=ListenAddress("127.0.0.1", 4317),
        description="Where to listen; port 0 takes any free port.",
    )
    max_request_size: MessageBytes = Field(
        default=64 * _MIB,
        description="The largest request taken, on the wire and inflated; below 2 GiB.",
    )
    handler_threads: Annotated[int, Field(strict=True, ge=1, le=1024)] = Field(
        default=64,
        description="Requests handled at once; as many as clients keep in flight, or more.",
    )
    max_connections: Count = Field(default=1000, description="Connections open at once.")
    tls: ServerTlsConfig | None = Field(
        default=None, description="Encryption, or null for plain text."
    )


class HttpReceiverConfig(Section):
    """OTLP over HTTP, protobuf and JSON; `http: null` turns it off."""

    endpoint: Listen = Field(
        default=ListenAddress("127.0.0.1", 4318),
        description="Where to listen; port 0 takes any free port.",
    )
    max_request_size: MessageBytes = Field(
        default=64 * _MIB,
        description="The largest request taken, on the wire and inflated; below 2 GiB.",
    )
    max_connections: Count = Field(default=1000, description="Connections open at once.")
    tls: HttpTlsConfig | None = Field(
        default=None, description="Encryption, or null for plain text."
    )
    cors: CorsConfig | None = Field(
        default=None, description="Web pages that may send from a browser, or null."
    )


class OtlpReceiverConfig(Section):
    """How OTLP comes in; at least one of the two is on."""

    grpc: GrpcReceiverConfig | None = Field(
        default=GrpcReceiverConfig(), description="OTLP over gRPC, or null."
    )
    http: HttpReceiverConfig | None = Field(
        default=HttpReceiverConfig(), description="OTLP over HTTP, or null."
    )
    auth: OtlpAuthConfig | None = Field(
        default=None, description="Who may send, or null for anyone who reaches the port."
    )
    once: OnceConfig | None = Field(
        default=OnceConfig(), description="Requests that come again, or null."
    )
    memory_budget: Bytes | None = Field(
        default=None,
        description="What all requests in flight may take in memory together; beyond it clients "
        "are asked to come back. Null: a sixth of the least of the cgroup's limit, RLIMIT_DATA "
        "and the RAM, from 32MiB to 4GiB. A request is never larger than a twelfth of it.",
    )

    @model_validator(mode="after")
    def _one_is_on(self) -> Self:
        if self.grpc is None and self.http is None:
            raise conflict("grpc and http are both off: nothing could be received", "grpc", "http")
        return self


class ReceiversConfig(Section):
    """Where spans come in."""

    otlp: OtlpReceiverConfig = Field(
        default=OtlpReceiverConfig(), description="OTLP, over gRPC and HTTP."
    )


class PrometheusConfig(Section):
    """The scrape endpoint: /metrics, /healthz and /readyz on one port."""

    endpoint: Listen = Field(
        default=ListenAddress("127.0.0.1", 9464),
        description="Where to listen; port 0 takes any free port.",
    )
    created_timestamps: Flag = Field(
        default=False,
        description="Show created stamps in OpenMetrics text too, as `_created` series (the "
        "protobuf form always has them).",
    )
    auth: ScrapeAuthConfig | None = Field(
        default=None,
        description="Who may read /metrics and /series, or null for anyone who reaches the port.",
    )
    tls: HttpTlsConfig | None = Field(
        default=None, description="Encryption, or null for plain text."
    )


class ExportersConfig(Section):
    """Where metrics and traces go."""

    prometheus: PrometheusConfig = Field(
        default=PrometheusConfig(), description="The scrape endpoint."
    )
    otlp_traces: Annotated[
        Mapping[DestinationName, OtlpTracesConfig], BeforeValidator(none_is_empty)
    ] = Field(default_factory=dict, description="Destinations of the traces, by name.")
    otlp_metrics: Annotated[
        Mapping[DestinationName, OtlpMetricsConfig], BeforeValidator(none_is_empty)
    ] = Field(default_factory=dict, description="Destinations of the metrics, by name.")


class LogConfig(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is logged."
    )
    format: Literal["logfmt", "json"] = Field(default="logfmt", description="The form of a line.")


class Config(Section):
    """Everything spanmill reads from its file; each key has a default."""

    receivers: ReceiversConfig = Field(
        default=ReceiversConfig(), description="Where spans come in."
    )
    exporters: ExportersConfig = Field(
        default=ExportersConfig(), description="Where metrics and traces go."
    )
    span_metrics: SpanMetricsConfig = Field(
        default=SpanMetricsConfig(), description="What is derived from spans."
    )
    percentiles: PercentilesConfig | None = Field(
        default=PercentilesConfig(), description="Latency percentiles, or null."
    )
    service_graph: ServiceGraphConfig | None = Field(
        default=ServiceGraphConfig(), description="Edges between services, or null."
    )
    exemplars: ExemplarsConfig | None = Field(
        default=ExemplarsConfig(), description="Trace ids beside histogram buckets, or null."
    )
    processors: ProcessorConfigs = Field(
        default=(), description="Processors of your own, after those that are built in."
    )
    sampling: SamplingConfig = Field(
        default=SamplingConfig(), description="Input that was sampled before it arrives."
    )
    service_metrics: ServiceMetricsConfig = Field(
        default=ServiceMetricsConfig(), description="The metrics that services send."
    )
    state: StateConfig = Field(default=StateConfig(), description="What is kept on disk.")
    log: LogConfig = Field(default=LogConfig(), description="The log.")
    shutdown_timeout: Seconds = Field(
        default=10.0,
        description="The deadline of a shutdown, for everything that is to be flushed.",
    )

    def listeners(self) -> dict[str, ListenAddress]:
        """Every address that is listened on, by the path of its key."""
        otlp = self.receivers.otlp
        found = {"exporters.prometheus.endpoint": self.exporters.prometheus.endpoint}
        if otlp.http is not None:
            found["receivers.otlp.http.endpoint"] = otlp.http.endpoint
        if otlp.grpc is not None:
            found["receivers.otlp.grpc.endpoint"] = otlp.grpc.endpoint
        return found

    @model_validator(mode="after")
    def _each_listens_alone(self) -> Self:
        for (key, address), (other_key, other) in combinations(self.listeners().items(), 2):
            if address.overlaps(other):
                raise conflict(
                    f"{key} ({address}) and {other_key} ({other}) listen on one port",
                    key,
                    other_key,
                )
        return self
