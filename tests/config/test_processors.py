"""The section about processors of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spanmill.config.load import LoadedConfig

Load = Callable[..., LoadedConfig]
Problems = Callable[..., list[str]]


def test_a_processor_has_defaults_and_any_settings(load: Load) -> None:
    loaded = load(
        """\
processors:
  - name: tenants
    file: ./tenants.py
    settings: {attribute: tenant.id, bounds: [1, 2.5], deep: {on: true, off: null}, n: "7"}
""",
    )
    (processor,) = loaded.config.processors
    assert (processor.file, processor.entry_point) == (Path("tenants.py"), None)
    assert (processor.max_series, processor.idle_timeout, processor.max_failures) == (1000, 900, 10)
    assert processor.settings == {
        "attribute": "tenant.id",
        "bounds": [1, 2.5],
        "deep": {"on": True, "off": None},
        "n": "7",
    }


def test_settings_come_from_the_environment_too(load: Load) -> None:
    text = "processors: [{name: a, file: a.py, settings: {n: '${env:N}'}}]"
    assert load(text, {"N": "word"}).config.processors[0].settings == {"n": "word"}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{name: a}", "processors[0].name: needs file (a Python file) or entry_point"),
        (
            "{name: a, file: a.py, entry_point: a}",
            "processors[0].file: file and entry_point are both set",
        ),
        (
            "{name: a, entry_point: a, class_name: A}",
            "processors[0].class_name: goes with file; an entry point names its class itself",
        ),
        ("{file: a.py}", "processors[0].name: is required"),
        ("{name: A, file: a.py}", "processors[0].name: a processor's name is 1 to 63 small"),
        ("{name: percentiles, file: a.py}", "percentiles is the name of a processor of spanmill"),
        ("{name: a, file: a.py, setings: {}}", "unknown key; did you mean 'settings'?"),
        ("{name: a, file: a.py, settings: 3}", "settings: must be a mapping of keys"),
        ("{name: a, file: a.py, max_failures: 0}", "max_failures: must be at least 1"),
        ("{name: a, file: a.py}, {name: a, file: b.py}", "the name 'a' is given twice"),
    ],
)
def test_what_can_t_be_is_told(problems: Problems, item: str, problem: str) -> None:
    (line,) = problems(f"processors: [{item}]")
    assert line.startswith("spanmill.yaml:1: processors")
    assert problem in line
