from __future__ import annotations

import pytest

from spanmill_instrumentation import TelemetrySettings


@pytest.mark.parametrize("value", ["true", "TRUE", " 1 ", "yes", "on"])
def test_tracing_is_on_for_every_way_to_write_true(value: str) -> None:
    assert TelemetrySettings.from_env({"TRACING_ENABLED": value}).enabled


@pytest.mark.parametrize("environ", [{}, {"TRACING_ENABLED": ""}, {"TRACING_ENABLED": "false"}])
def test_tracing_is_off_without_a_word(environ: dict[str, str]) -> None:
    settings = TelemetrySettings.from_env(environ)
    assert not settings.enabled
    assert settings.problems == ()


def test_a_value_that_is_no_truth_value_leaves_tracing_off_and_is_named() -> None:
    settings = TelemetrySettings.from_env({"TRACING_ENABLED": "maybe"})
    assert not settings.enabled
    assert settings.problems == (
        "TRACING_ENABLED='maybe' is neither true nor false; tracing stays off",
    )


def test_the_standard_switch_turns_tracing_off_again() -> None:
    environ = {"TRACING_ENABLED": "true", "OTEL_SDK_DISABLED": "true"}
    assert not TelemetrySettings.from_env(environ).enabled


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, "http://c:1"),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/otlp/",
            },
            "http://c:1/otlp/v1/traces",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:2/custom",
            },
            "http://t:2/custom",
        ),
    ],
)
def test_the_endpoint_follows_the_specification(environ: dict[str, str], endpoint: str) -> None:
    assert TelemetrySettings.from_env(environ).endpoint == endpoint


def test_the_protocol_of_traces_goes_before_the_general_one() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }
    assert TelemetrySettings.from_env(environ).protocol == "http/protobuf"


def test_an_unknown_protocol_is_named_and_grpc_is_used() -> None:
    settings = TelemetrySettings.from_env({"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier/pigeon"})
    assert settings.protocol == "grpc"
    assert "carrier/pigeon" in settings.problems[0]


def test_resource_attributes_are_decoded_and_the_service_name_variable_goes_first() -> None:
    settings = TelemetrySettings.from_env(
        {
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=old, team=a%20b,broken",
            "OTEL_SERVICE_NAME": "shop",
        }
    )
    assert settings.service_name == "shop"
    assert settings.resource_attributes == {"service.name": "old", "team": "a b"}
    assert "'broken'" in settings.problems[0]


def test_the_service_name_can_stand_among_the_resource_attributes() -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}
    assert TelemetrySettings.from_env(environ).service_name == "shop"
