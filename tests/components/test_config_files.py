"""Every file in collector-config/ is loaded by the program that it is for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.binaries import component, tempo_binary
from components.collector import distribution, start_collector, start_sampler
from components.jaeger import start_jaeger
from components.process import Processes
from components.processor import SPANMILL
from components.shipped import COLLECTOR_CONFIG
from components.tempo import start_tempo

pytestmark = pytest.mark.components

BESIDE_THE_SERVICES = ("sidecar.yaml", "gateway-frontend.yaml", "inline.yaml", "tap.yaml")
FOR_SPANMILL = ("spanmill.yaml", "spanmill-gateway.yaml", "spanmill-tap.yaml")


@pytest.mark.parametrize("file", [*BESIDE_THE_SERVICES, "gateway.yaml"])
def test_the_collector_accepts_its_configuration(file: str) -> None:
    run(distribution(file), "validate", "--config", COLLECTOR_CONFIG / file)


@pytest.mark.parametrize("file", BESIDE_THE_SERVICES)
def test_the_collector_starts_with_its_configuration(
    processes: Processes, tmp_path: Path, file: str
) -> None:
    start_collector(processes, tmp_path, file, {"COLLECTOR_STORAGE": str(tmp_path / "storage")})


def test_the_collector_that_samples_starts(processes: Processes, tmp_path: Path) -> None:
    start_sampler(processes, tmp_path, {})


def test_the_collector_refuses_a_misspelt_key(tmp_path: Path) -> None:
    misspelt = tmp_path / "sidecar.yaml"
    text = (COLLECTOR_CONFIG / "sidecar.yaml").read_text()
    misspelt.write_text(text.replace("sending_queue", "sending_qeue"))
    with pytest.raises(AssertionError, match="sending_qeue"):
        run(component("otelcol"), "validate", "--config", misspelt)


def test_prometheus_accepts_its_configuration() -> None:
    run(component("promtool"), "check", "config", COLLECTOR_CONFIG / "prometheus.yml")


def test_jaeger_starts_with_its_configuration(processes: Processes, tmp_path: Path) -> None:
    jaeger = start_jaeger(processes, tmp_path, prometheus_url="http://127.0.0.1:1")
    assert jaeger.services() == set()


def test_tempo_starts_with_its_configuration(processes: Processes, tmp_path: Path) -> None:
    binary = tempo_binary()
    if binary is None:
        pytest.skip("needs a Tempo: name one in SPANMILL_TEMPO or put it in PATH")
    assert start_tempo(processes, tmp_path, binary).trace("00" * 15 + "01") is None


@pytest.mark.parametrize("file", FOR_SPANMILL)
def test_spanmill_accepts_its_configuration(file: str) -> None:
    run(*SPANMILL, "check", COLLECTOR_CONFIG / file)


def test_no_file_lacks_a_program_that_loads_it() -> None:
    here = {*BESIDE_THE_SERVICES, "gateway.yaml", *FOR_SPANMILL}
    here |= {"prometheus.yml", "jaeger.yaml", "tempo.yaml"}
    elsewhere = {"builder.yaml", "builder-gateway.yaml", "grafana"}  # build.sh, test_grafana.py
    assert {path.name for path in COLLECTOR_CONFIG.iterdir()} == here | elsewhere


def run(*command: str | Path) -> None:
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
