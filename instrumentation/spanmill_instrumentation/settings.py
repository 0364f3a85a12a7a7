"""What the environment says about telemetry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import unquote

Protocol = Literal["grpc", "http/protobuf"]

_ON = frozenset({"true", "1", "yes", "on"})
_OFF = frozenset({"false", "0", "no", "off", ""})
_DEFAULT_ENDPOINTS: Mapping[Protocol, str] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where traces go and under which name; `from_env` reads it from the environment.

    `endpoint` is the exporter's own: for http/protobuf with the path of the traces signal.
    `problems` holds a sentence for each variable that was not understood and is ignored.
    """

    enabled: bool = False
    protocol: Protocol = "grpc"
    endpoint: str = "http://localhost:4317"
    service_name: str | None = None
    resource_attributes: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> TelemetrySettings:
        """Read TRACING_ENABLED and the OTEL_* variables; never raises.

        The variables mean what OpenTelemetry's specification says: the one of the traces signal
        goes before the general one and is used as it is, the general HTTP endpoint gets
        `/v1/traces` appended. Without a protocol it is gRPC, as in OpenTelemetry's Python SDK.
        """
        variables = os.environ if environ is None else environ
        problems: list[str] = []
        protocol = _protocol(variables, problems)
        attributes = _resource_attributes(variables, problems)
        name = variables.get("OTEL_SERVICE_NAME") or attributes.get("service.name")
        return cls(
            enabled=_enabled(variables, problems),
            protocol=protocol,
            endpoint=_endpoint(variables, protocol),
            service_name=name,
            resource_attributes=attributes,
            problems=tuple(problems),
        )


def _enabled(variables: Mapping[str, str], problems: list[str]) -> bool:
    value = variables.get("TRACING_ENABLED", "").strip().lower()
    if value not in _ON | _OFF:
        problems.append(f"TRACING_ENABLED={value!r} is neither true nor false; tracing stays off")
    disabled = variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return value in _ON and not disabled


def _protocol(variables: Mapping[str, str], problems: list[str]) -> Protocol:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = variables.get(name, "").strip().lower()
        if value in _DEFAULT_ENDPOINTS:
            return cast(Protocol, value)  # a key of the table above
        if value:
            problems.append(f"{name}={value!r} is neither grpc nor http/protobuf; using grpc")
            break
    return "grpc"


def _endpoint(variables: Mapping[str, str], protocol: Protocol) -> str:
    of_traces = variables.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    if of_traces:
        return of_traces
    general = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    base = general or _DEFAULT_ENDPOINTS[protocol]
    return f"{base.rstrip('/')}/v1/traces" if protocol == "http/protobuf" else base


def _resource_attributes(variables: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for pair in variables.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, separator, value = pair.partition("=")
        if separator and key.strip():
            attributes[key.strip()] = unquote(value.strip())
        elif pair.strip():
            problems.append(f"OTEL_RESOURCE_ATTRIBUTES: {pair.strip()!r} is not key=value; ignored")
    return attributes
