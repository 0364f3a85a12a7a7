"""The real Prometheus with the shipped collector-config/prometheus.yml, scraping in every form."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml

from components.binaries import component
from components.process import Processes
from components.shipped import COLLECTOR_CONFIG, PROJECT, load_yaml

SCRAPE_FORMS: Mapping[str, str] = {
    "text": "PrometheusText0.0.4",
    "openmetrics": "OpenMetricsText1.0.0",
    "protobuf": "PrometheusProto",
}
"""Each form of the scrape by the value of the label `form` that the derived jobs give it."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def query(self, expression: str, at: float | None = None) -> dict[Labels, float]:
        """The instant vector of `expression` now, or `at` that second: sorted labels → value."""
        fields = {"query": expression} if at is None else {"query": expression, "time": f"{at:.3f}"}
        result = self._get("query", fields)["result"]
        return {
            tuple(sorted(sample["metric"].items())): float(sample["value"][1]) for sample in result
        }

    def series(self, expression: str, at: float) -> list[dict[str, Any]]:
        """The samples and histograms of the instant vector of `expression` at that second."""
        found: list[dict[str, Any]] = self._get(
            "query", {"query": expression, "time": f"{at:.3f}"}
        )["result"]
        return found

    def label_values(self, label: str, matcher: str) -> set[str]:
        """The values of a label among the series that `matcher` selects."""
        return set(self._get(f"label/{label}/values", {"match[]": matcher}))

    def by(self, label: str, expression: str) -> dict[str, float]:
        """The instant vector of `expression`, whose samples differ in `label` alone."""
        return {
            dict(labels).get(label, ""): value for labels, value in self.query(expression).items()
        }

    def scalar(self, expression: str) -> float:
        """The only value of `expression`; NaN where it has none."""
        values = list(self.query(expression).values())
        assert len(values) <= 1, f"{expression} gives {len(values)} series"
        return values[0] if values else float("nan")

    def metric_names(self, matcher: str) -> set[str]:
        """The names of all series that `matcher` selects."""
        return self.label_values("__name__", matcher)

    def failed_scrapes(self) -> list[str]:
        """What Prometheus says of targets that it cannot scrape."""
        targets = self._get("targets", {})["activeTargets"]
        return [
            f"{each['scrapePool']}: {each['lastError']}" for each in targets if each["lastError"]
        ]

    def _get(self, endpoint: str, fields: Mapping[str, str]) -> Any:
        response = urllib3.request(
            "GET", f"{self.url}/api/v1/{endpoint}", fields=fields, timeout=10.0
        )
        body = response.json()
        assert body["status"] == "success", body
        return body["data"]


def start_prometheus(
    processes: Processes,
    folder: Path,
    scrapes: Sequence[str],
    port: int,
    forms: Mapping[str, str] = SCRAPE_FORMS,
) -> Prometheus:
    """Start it on `port`, scraping every spanmill of `scrapes` each second, once in each form.

    Without forms it scrapes as shipped: once, in the form that it prefers.
    """
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(derived_config(scrapes, forms)))
    url = f"http://127.0.0.1:{port}"
    processes.start(
        [
            component("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *feature_flags(),
        ],
        folder,
        ready_url=f"{url}/-/ready",
    )
    return Prometheus(url)


def derived_config(scrapes: Sequence[str], forms: Mapping[str, str]) -> dict[str, Any]:
    """The shipped configuration with our targets, each second, as one job for each form."""
    config: dict[str, Any] = load_yaml(COLLECTOR_CONFIG / "prometheus.yml")
    config["global"]["scrape_interval"] = "1s"
    shipped = next(job for job in config["scrape_configs"] if job["job_name"] == "spanmill")
    shipped["static_configs"] = [{"targets": list(scrapes)}]
    config["scrape_configs"] = []
    for form, protocol in forms.items():
        job = copy.deepcopy(shipped)
        job["job_name"] = f"spanmill-{form}"
        job["scrape_protocols"] = [protocol]
        # The forms must not meet in one series, whatever `job` the metrics carry themselves.
        job["metric_relabel_configs"] = [{"target_label": "form", "replacement": form}]
        config["scrape_configs"].append(job)
    if not forms:
        config["scrape_configs"].append(shipped)
    return config


def feature_flags() -> list[str]:
    """The features that compose.yaml turns on."""
    command = load_yaml(PROJECT / "compose.yaml")["services"]["prometheus"]["command"]
    return [flag for flag in command if flag.startswith("--enable-feature=")]
