"""The compose file: its form, and that it fits the files that it mounts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.binaries import component
from components.shipped import PROJECT, load_yaml

COMPOSE_FILE = PROJECT / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = load_yaml(COMPOSE_FILE)["services"]


@pytest.mark.components
def test_the_form_is_accepted() -> None:
    assert complaint(COMPOSE_FILE) == ""


@pytest.mark.components
def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    misspelt = tmp_path / "compose.yaml"
    misspelt.write_text(COMPOSE_FILE.read_text().replace("read_only", "read_olny"))
    assert "read_olny" in complaint(misspelt)


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_is_read_by_a_mounted_file(service: str) -> None:
    texts = [path.read_text() for path in mounted(service) if path.is_file()]
    read = set(re.findall(r"\$\{(?:env:)?([A-Z_]+)", "".join(texts)))
    given = SERVICES[service].get("environment", {})
    # Grafana reads its own settings from variables.
    assert {name for name in given if not name.startswith("GF_")} <= read


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service: str) -> None:
    assert [path for path in mounted(service) if not path.exists()] == []


def mounted(service: str) -> list[Path]:
    volumes = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return [PROJECT / parts[0] for parts in volumes if len(parts) == 3]


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_loopback_alone(service: str) -> None:
    assert [
        port for port in SERVICES[service].get("ports", []) if not port.startswith("127.0.0.1:")
    ] == []


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_runs_as_root_or_writes_its_image(service: str) -> None:
    assert not SERVICES[service]["user"].startswith("0")
    assert SERVICES[service]["read_only"] is True


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_pinned_to_a_release(service: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[service]["image"])


def complaint(file: Path) -> str:
    """What Docker Compose's own parser has against `file`; empty where it accepts it."""
    return subprocess.run(
        [component("composecheck"), file], capture_output=True, text=True, timeout=30, check=False
    ).stderr
