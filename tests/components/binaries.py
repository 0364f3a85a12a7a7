"""Where the real components are: built by build.sh, or named by SPANMILL_TEMPO."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def component(name: str) -> Path:
    """The built component `name`; without it the test is skipped, or fails in CI."""
    folder = components_folder()
    path = folder / name
    if path.exists():
        return path
    missing = f"{name} is not in {folder}: run tests/components/build.sh {folder}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def components_folder() -> Path:
    """The folder that SPANMILL_COMPONENTS names, or the one that `.ci/run` builds into."""
    named = os.environ.get("SPANMILL_COMPONENTS")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "spanmill" / "components"


def tempo_binary() -> Path | None:
    """Tempo from SPANMILL_TEMPO or PATH: it cannot be built from the Go module proxy."""
    found = os.environ.get("SPANMILL_TEMPO") or shutil.which("tempo")
    return Path(found) if found else None
