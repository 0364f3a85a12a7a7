"""The gateway of docs/sampling.md: a frontend, and two spanmills with a sampler each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from components.collector import Collector, start_collector, start_sampler
from components.jaeger import Jaeger, start_jaeger
from components.process import Processes, free_ports
from components.processor import Spanmill, start_spanmill
from components.prometheus import Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG, load_yaml

PAIRS = 2
DECISION_WAIT = "1h"
"""Longer than any test: a sampler decides on all traces when it is stopped."""
STOP_DEADLINE = 60.0


@dataclass(frozen=True)
class Gateway:
    """The running components, and where the services send to."""

    traces_url: str
    spanmills: list[Spanmill]
    samplers: list[Collector]
    prometheus: Prometheus
    jaeger: Jaeger

    def stop_samplers(self) -> None:
        """Let the samplers decide on what they hold, deliver it and end."""
        for sampler in self.samplers:
            sampler.process.popen.terminate()
        for sampler in self.samplers:
            sampler.process.popen.wait(STOP_DEADLINE)


def start_gateway(processes: Processes, folder: Path, tempo: str) -> Gateway:
    """Start it with the shipped files; `tempo` is the URL of an OTLP receiver in Tempo's place."""

    def own(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    (port,) = free_ports(1)
    jaeger = start_jaeger(processes, own("jaeger"), f"http://127.0.0.1:{port}")
    backends = {
        "TEMPO_OTLP_ENDPOINT": tempo,
        "JAEGER_OTLP_ENDPOINT": f"http://{jaeger.otlp_grpc}",
        "SAMPLER_DECISION_WAIT": DECISION_WAIT,
    }
    samplers = [start_sampler(processes, own(f"sampler-{n}"), backends) for n in range(PAIRS)]
    spanmills = [
        start_spanmill(
            processes,
            own(f"spanmill-{n}"),
            COLLECTOR_CONFIG / "spanmill-gateway.yaml",
            {"SAMPLER_OTLP_ENDPOINT": f"http://{sampler.grpc}"},
        )
        for n, sampler in enumerate(samplers)
    ]
    frontend = start_collector(
        processes,
        own("frontend"),
        "gateway-frontend.yaml",
        {"SPANMILL_ENDPOINTS": json.dumps([each.grpc for each in spanmills])},
    )
    scrapes = [each.scrape for each in spanmills]
    prometheus = start_prometheus(processes, own("prometheus"), scrapes, port, forms={})
    return Gateway(f"http://{frontend.http}/v1/traces", spanmills, samplers, prometheus, jaeger)


class Traces:
    """The span ids of each trace in some requests, and which traces have an error."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.spans: dict[bytes, set[bytes]] = {}
        self.failed: set[bytes] = set()
        for request in requests:
            for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
                for scope_spans in resource_spans.scope_spans:
                    for span in scope_spans.spans:
                        self.spans.setdefault(span.trace_id, set()).add(span.span_id)
                        if span.status.code == Status.STATUS_CODE_ERROR:
                            self.failed.add(span.trace_id)


@dataclass(frozen=True)
class TailSampling:
    """The rule of the shipped gateway.yaml for traces without an error."""

    salt: str
    ratio: float

    @classmethod
    def shipped(cls) -> TailSampling:
        policies = load_yaml(COLLECTOR_CONFIG / "gateway.yaml")["processors"]["tail_sampling"]
        (tenth,) = (each for each in policies["policies"] if each["type"] == "probabilistic")
        settings = tenth["probabilistic"]
        return cls(settings["hash_salt"], settings["sampling_percentage"] / 100)

    def keeps(self, trace_id: bytes) -> bool:
        """Whether the sampler keeps the trace.

        Source: processor/tailsamplingprocessor/internal/sampling/probabilistic.go of
        opentelemetry-collector-contrib v0.159.0. Its product has 64 bits of precision: for these
        settings that is the integer below the exact one.
        """
        fnv_1a = 0xCBF29CE484222325
        for byte in self.salt.encode() + trace_id:
            fnv_1a = (fnv_1a ^ byte) * 0x100000001B3 % 2**64
        return fnv_1a <= int(Fraction(self.ratio) * (2**64 - 1))


def send(requests: Iterable[bytes], traces_url: str) -> None:
    """Send requests as they were recorded, with their ids, one after the other."""
    pool = urllib3.PoolManager()
    for request in requests:
        answer = pool.request(
            "POST",
            traces_url,
            body=request,
            headers={"Content-Type": "application/x-protobuf"},
            timeout=60.0,
            # The Collector answers 503 while its memory is full; what it refused has not come in.
            retries=urllib3.Retry(
                10, status_forcelist=[503], allowed_methods=None, backoff_factor=1
            ),
        )
        assert answer.status == 200, answer.data
