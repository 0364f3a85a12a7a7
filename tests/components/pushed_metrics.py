"""Backends that get what is derived by OTLP, and what they then have."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from prometheus_client.parser import text_string_to_metric_families

from components.binaries import component
from components.process import Processes, free_ports
from components.processor import Spanmill
from components.prometheus import Prometheus, feature_flags

INSTANCE = "the-stable-one"

# Of another moment in each backend: they change with the time, or with each push.
MOVING = (
    "process_",
    "spanmill_push_",
    "spanmill_export_",
    "spanmill_checkpoint_",
    "spanmill_journal_",
)
NOT_OURS = ("scrape_", "up", "target_info")  # the last is the Collector's, about every resource

Labels = tuple[tuple[str, str], ...]
Content = dict[Labels, str]


def own(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def start_receiving(processes: Processes, folder: Path, port: int) -> Prometheus:
    """A Prometheus that takes OTLP, and scrapes nothing."""
    (folder / "prometheus.yml").write_text("{}")
    url = f"http://127.0.0.1:{port}"
    processes.start(
        [
            component("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-otlp-receiver",
            *feature_flags(),
        ],
        folder,
        ready_url=f"{url}/-/ready",
    )
    return Prometheus(url)


def start_collector(processes: Processes, folder: Path) -> tuple[str, str]:
    """A Collector that shows what it gets over gRPC; its gRPC address and its scrape URL."""
    grpc, health, scrape, metrics = free_ports(4)
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": metrics}}}}
    config = {
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}}}},
        "exporters": {"prometheus": {"endpoint": f"127.0.0.1:{scrape}"}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}},
            "telemetry": {"metrics": {"readers": [reader]}},
        },
    }
    (folder / "collector.yaml").write_text(yaml.safe_dump(config))
    processes.start(
        [component("otelcol"), "--config", folder / "collector.yaml"],
        folder,
        ready_url=f"http://127.0.0.1:{health}/",
    )
    return f"127.0.0.1:{grpc}", f"http://127.0.0.1:{scrape}/metrics"


def http_push(prometheus: Prometheus, **settings: object) -> dict[str, object]:
    return {
        "endpoint": f"{prometheus.url}/api/v1/otlp",
        "interval": "1s",
        "instance_id": INSTANCE,
        **settings,
    }


def config_file(folder: Path, destinations: Mapping[str, object], **sections: object) -> Path:
    config = {
        "receivers": {
            "otlp": {
                "grpc": {"endpoint": "${env:SPANMILL_GRPC_ENDPOINT}"},
                "http": {"endpoint": "${env:SPANMILL_HTTP_ENDPOINT}"},
            }
        },
        "exporters": {
            "prometheus": {"endpoint": "${env:SPANMILL_SCRAPE_ENDPOINT}"},
            "otlp_metrics": dict(destinations),
        },
        "service_graph": {"wait": "1h"},  # no edge to a guessed peer meanwhile
        **sections,
    }
    path = folder / "spanmill.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def content(prometheus: Prometheus, spanmill: Spanmill) -> Content:
    """Every series with its value, without the label that names this process.

    A scraped `le` is "1.0" where a pushed one is "1": the receiver writes it.
    """
    found = {}
    for series in prometheus.series('{__name__=~".+"}', time.time()):
        labels: dict[str, str] = series["metric"]
        if labels.get("instance") in {INSTANCE, spanmill.scrape}:
            del labels["instance"]
        if "le" in labels:
            labels["le"] = repr(float(labels["le"]))
        value = series["value"][1] if "value" in series else histogram_text(series["histogram"][1])
        if not labels["__name__"].startswith((*MOVING, *NOT_OURS)):
            found[tuple(sorted(labels.items()))] = value
    return found


def histogram_text(histogram: dict[str, Any]) -> str:
    """A native histogram; the receiver gives the zero bucket a width of its own."""
    for bucket in histogram.get("buckets", ()):
        if float(bucket[1]) < 0 < float(bucket[2]):
            bucket[1:3] = ["0", "0"]
    return json.dumps(histogram, sort_keys=True)


def exposed(url: str) -> Content:
    """What is exposed as text, less what names this process."""
    text = urllib3.request("GET", url, timeout=10.0).data.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if value}
            labels["__name__"] = sample.name
            if labels.get("job") == "spanmill":
                del labels["job"]
            if labels.get("instance") == INSTANCE:
                del labels["instance"]
            if "le" in labels:
                labels["le"] = repr(float(labels["le"]))
            if not sample.name.startswith((*MOVING, *NOT_OURS)):
                found[tuple(sorted(labels.items()))] = repr(float(sample.value))
    return found


@dataclass(frozen=True)
class StoredExemplar:
    """An exemplar of the span metrics; `bound` is that of its bucket, `value` in seconds."""

    service: str
    bound: float
    value: float
    ids: tuple[str, str]


def exemplars(prometheus: Prometheus, suffix: str) -> list[StoredExemplar]:
    now = time.time()
    answer = urllib3.request(
        "GET",
        f"{prometheus.url}/api/v1/query_exemplars",
        fields={
            "query": f"traces_spanmetrics_latency{suffix}",
            "start": f"{now - 3600:.0f}",
            "end": f"{now + 60:.0f}",
        },
    ).json()
    assert answer["status"] == "success", answer
    return [
        StoredExemplar(
            series["seriesLabels"]["service"],
            float(series["seriesLabels"].get("le", "inf")),
            float(each["value"]),
            (each["labels"]["trace_id"], each["labels"]["span_id"]),
        )
        for series in answer["data"]
        for each in series["exemplars"]
    ]
