"""The real Jaeger with the shipped collector-config/jaeger.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from components.binaries import component
from components.process import Processes, free_ports
from components.shipped import COLLECTOR_CONFIG


@dataclass(frozen=True)
class Jaeger:
    """A running Jaeger: its page, and host:port of its OTLP receivers."""

    url: str
    otlp_grpc: str
    otlp_http: str

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """The trace in OTLP's JSON form; None where it is not there (yet)."""
        response = urllib3.request(
            "GET", f"{self.url}/api/v3/traces/{trace_id}", timeout=10.0, retries=False
        )
        if response.status != 200:
            return None
        trace: dict[str, Any] = response.json()["result"]
        return trace

    def services(self) -> set[str]:
        """The services that it has seen spans of."""
        return set(self._get("services")["data"] or [])

    def call_rates(self, service: str) -> list[dict[str, Any]]:
        """The series of the Monitor tab's request rates for `service`."""
        metrics = self._get(
            f"metrics/calls?service={service}&lookback=300000&step=1000&ratePer=60000"
            "&spanKind=server&spanKind=client&spanKind=internal"
        )
        series: list[dict[str, Any]] = metrics["metrics"]
        return series

    def monitor(self, metric: str, service: str, at: float, **query: str) -> dict[str, float]:
        """What the Monitor tab shows at the second `at`: operation → value ('' for the service).

        `metric` is calls, errors or latencies. The parameters are those that Jaeger's page sends
        (packages/jaeger-ui/src/components/Monitor/ServicesView/index.tsx of jaeger-ui 2.20.0).
        """
        end = round(at * 1000)
        fields = {"endTs": str(end), "lookback": "300000", "step": "60000", "ratePer": "600000"}
        fields |= {"service": service, "spanKind": "server", **query}
        found = self._get(f"metrics/{metric}?{urlencode(fields)}")
        last = {}
        for series in found["metrics"]:
            labels = {label["name"]: label["value"] for label in series["labels"]}
            assert labels["service_name"] == service
            for point in series["metricPoints"]:
                if round(datetime.fromisoformat(point["timestamp"]).timestamp() * 1000) == end:
                    last[labels.get("operation", "")] = float(point["gaugeValue"]["doubleValue"])
        return last

    def _get(self, path: str) -> Any:
        response = urllib3.request("GET", f"{self.url}/api/{path}", timeout=10.0)
        assert response.status == 200, response.data
        return response.json()


def start_jaeger(processes: Processes, folder: Path, prometheus_url: str) -> Jaeger:
    """Start it with its Monitor tab on the Prometheus at `prometheus_url`."""
    page, query, grpc, http = free_ports(4)
    jaeger = Jaeger(
        url=f"http://127.0.0.1:{page}",
        otlp_grpc=f"127.0.0.1:{grpc}",
        otlp_http=f"127.0.0.1:{http}",
    )
    processes.start(
        [component("jaeger"), "--config", COLLECTOR_CONFIG / "jaeger.yaml"],
        folder,
        ready_url=f"{jaeger.url}/api/services",
        env={
            "JAEGER_HTTP_ENDPOINT": f"127.0.0.1:{page}",
            "JAEGER_GRPC_ENDPOINT": f"127.0.0.1:{query}",
            "JAEGER_OTLP_GRPC_ENDPOINT": jaeger.otlp_grpc,
            "JAEGER_OTLP_HTTP_ENDPOINT": jaeger.otlp_http,
            "PROMETHEUS_URL": prometheus_url,
        },
    )
    return jaeger
