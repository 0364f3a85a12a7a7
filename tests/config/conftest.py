"""Configuration files of a test, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from spanmill.config.load import LoadedConfig, load_config
from spanmill.errors import ConfigError

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a text with an environment, as a file."""

    def load_text(text: str, environ: Mapping[str, str] | None = None) -> LoadedConfig:
        path = tmp_path / "spanmill.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ or {})

    return load_text


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """The lines of the error that a text gives, each without the folder in front."""

    def lines(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as refused:
            load(text, environ)
        return [line.removeprefix(f"{tmp_path}/") for line in str(refused.value).splitlines()]

    return lines
