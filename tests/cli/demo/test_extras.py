from __future__ import annotations

import json
import subprocess
import sys

from spanmill.cli.demo.extras import is_importable, missing_packages


def test_here_nothing_is_missing() -> None:
    assert missing_packages() == []


def test_distributions_are_named_not_modules() -> None:
    missing = missing_packages(lambda module: not module.startswith("opentelemetry."))
    assert missing == [
        "opentelemetry-instrumentation-httpx",
        "opentelemetry-instrumentation-asgi",
        "opentelemetry-exporter-otlp",
    ]


def test_a_module_whose_parent_is_missing_is_not_importable() -> None:
    assert not is_importable("there_is_no_such_package.with_a_module")
    assert is_importable("json.decoder")


def test_the_arguments_are_known_without_the_extras() -> None:
    # `spanmill --help` and the message on a missing extra must work where the extra is missing.
    code = """
import json, sys
import spanmill.cli.demo.command
print(json.dumps(sorted(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(result.stdout))
    assert loaded.isdisjoint(
        {"rich", "httpx", "prometheus_client", "opentelemetry", "spanmill_instrumentation"}
    )
