"""The recorded shop, replayed through spanmill into a Prometheus that scrapes as shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from components.jaeger import Jaeger, start_jaeger
from components.process import Processes, free_ports, wait_until
from components.processor import Spanmill, replay, start_spanmill
from components.prometheus import Prometheus, start_prometheus
from components.shipped import COLLECTOR_CONFIG, load_yaml
from components.shop import Shop

ARRIVAL_DEADLINE = 60.0


@dataclass(frozen=True)
class ReplayedShop:
    """Prometheus at the second `at`, when it has just scraped all that the shop's spans gave.

    At that second rate() has nothing to extrapolate: each series begins with the zero of its
    created stamp and ends with the sample of this very moment, so rates are exact.
    """

    shop: Shop
    spanmill: Spanmill
    prometheus: Prometheus
    jaeger: Jaeger
    at: float


def replay_shop(
    processes: Processes, folder: Path, file: Path, requests: list[bytes]
) -> ReplayedShop:
    """Start everything in folders of its own, replay `file`, and wait until all is scraped."""

    def own(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    shop = Shop(requests)
    (port,) = free_ports(1)
    jaeger = start_jaeger(processes, own("jaeger"), f"http://127.0.0.1:{port}")
    spanmill = start_spanmill(
        processes,
        own("spanmill"),
        patient_config(folder),
        {"JAEGER_OTLP_ENDPOINT": f"http://{jaeger.otlp_grpc}"},
    )
    prometheus = start_prometheus(processes, own("prometheus"), [spanmill.scrape], port, forms={})
    wait_until(lambda: prometheus.scalar("up") == 1, ARRIVAL_DEADLINE, "the first scrape")
    replay(file, spanmill.grpc)

    def all_scraped() -> bool:
        return prometheus.scalar("sum(traces_spanmetrics_calls_total)") >= len(shop.spans)

    wait_until(all_scraped, ARRIVAL_DEADLINE, "Prometheus shows every span")
    at = prometheus.scalar("max(timestamp(traces_spanmetrics_calls_total))")
    return ReplayedShop(shop, spanmill, prometheus, jaeger, at)


def patient_config(folder: Path) -> Path:
    """The shipped configuration without a Tempo, and with time for slow machines.

    No side of a call is given up while the tests run, so there are no edges to guessed peers.
    """
    config = load_yaml(COLLECTOR_CONFIG / "spanmill.yaml")
    del config["exporters"]["otlp_traces"]["tempo"]
    config["service_graph"] = {"wait": "1h"}
    path = folder / "spanmill.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
