from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from spanmill.config.load import LoadedConfig
from spanmill.config.model import Config
from spanmill.config.reference import default_file, reference_page
from spanmill.config.section import Section
from spanmill.config.sections import section_in

Load = Callable[..., LoadedConfig]

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_committed_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "write it anew: spanmill config reference > docs/configuration.md"
    )


def test_the_default_file_sets_every_key_to_its_default(load: Load) -> None:
    loaded = load(default_file())
    assert loaded.config == Config()
    assert {"span_metrics.buckets.otel", "shutdown_timeout", "log.level"} <= loaded.lines.keys()


@pytest.mark.parametrize("number", [0, 1])
def test_each_file_on_the_page_can_be_used(load: Load, number: int) -> None:
    files = re.findall(r"```yaml\n(.*?)```", reference_page(), re.DOTALL)
    assert len(files) == 2
    load(files[number], {"VENDOR_TOKEN": "x"})


def test_every_value_s_key_stands_in_a_table() -> None:
    page = reference_page()
    sections: list[type[Section]] = [Config]
    for section in sections:
        for key, field in section.model_fields.items():
            inner = section_in(field.annotation)
            if inner is not None:
                sections.append(inner)
            else:
                assert f"| `{key}` | " in page


def test_types_defaults_and_limits_are_told() -> None:
    page = reference_page()
    for row in (
        "| `endpoint` | text | required | The base URL",
        "| `handler_threads` | whole number, 1 to 1024 | `64` |",
        "| `max_series` | whole number, 1 or more | `20000` |",
        "| `created_timestamps` | `true` or `false` | `false` |",
        "| `dialects` | list of `tempo` or `otel` | `[tempo, otel]` |",
        "| `headers` | NAME: text | `{}` |",
        "| `otlp_traces` | NAME: section | `{}` |",
        "| `max_request_bytes` | size | by protocol |",
        "| `ca_file` | path or `null` | `null` |",
        "| `grpc` | section or `null` | its defaults |",
    ):
        assert row in page
