"""A required key that is missing is told once, whatever its type."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanmill.config.load import load_config
from spanmill.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("exporters: {prometheus: {tls: {}}}", ("tls.cert_file", "tls.key_file")),
        ("exporters: {prometheus: {tls: {cert_file: a}}}", ("tls.key_file",)),
        ("receivers: {otlp: {http: {cors: {}}}}", ("cors.allowed_origins",)),
        ("exporters: {otlp_traces: {x: {}}}", ("otlp_traces.x.endpoint",)),
    ],
)
def test_each_is_told_once(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    file = tmp_path / "spanmill.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    lines = str(refused.value).splitlines()
    assert len(lines) == len(told)
    for line, key in zip(lines, told, strict=True):
        assert line.endswith(f"{key}: is required, there is no default")
