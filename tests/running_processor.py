"""A whole processor in this process, on free ports, and what a user sees of it."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from spanmill.clock import SystemClock
from spanmill.config.model import Config
from spanmill.pipeline import Pipeline

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


class RunningProcessor:
    """A started pipeline and clients for each of its doors."""

    def __init__(self, settings: dict[str, object]) -> None:
        free = {"endpoint": "127.0.0.1:0"}
        exporters = {"prometheus": free, **settings.pop("exporters", {})}  # type: ignore[dict-item]  # a mapping by contract
        self.pipeline = Pipeline(
            Config.model_validate(
                {
                    "receivers": {"otlp": {"grpc": free, "http": free}},
                    "exporters": exporters,
                    "state": {"durability": "memory"},
                    **settings,
                }
            ),
            "0",
            SystemClock(),
        )
        self.pipeline.start()
        self.ports = self.pipeline.ports
        self._http = urllib3.PoolManager(retries=False)
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{self.ports['grpc']}", options=[("grpc.max_send_message_length", -1)]
        )
        self._export = self._channel.unary_unary(EXPORT, None, None)

    def send_grpc(self, body: bytes) -> bytes:
        answer: bytes = self._export(body, timeout=30)
        return answer

    def send_http(
        self,
        body: bytes,
        content_type: str = "application/x-protobuf",
        path: str = "/v1/traces",
    ) -> bytes:
        url = f"http://127.0.0.1:{self.ports['http']}{path}"
        answer = self._http.request(
            "POST", url, body=body, headers={"Content-Type": content_type}, timeout=30
        )
        assert answer.status == 200, answer.data
        return answer.data

    def scrape(self) -> Samples:
        url = f"http://127.0.0.1:{self.ports['scrape']}/metrics"
        text = self._http.request("GET", url, timeout=30).data.decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def close(self) -> None:
        self._channel.close()
        self._http.clear()
        self.pipeline.stop()


Start = Callable[..., RunningProcessor]
