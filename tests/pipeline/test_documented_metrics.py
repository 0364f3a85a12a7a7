"""Every metric that spanmill has stands in the documentation, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

from running_processor import RunningProcessor, Start

DOCS = Path(__file__).parents[2] / "docs"
NOWHERE = {"endpoint": "http://127.0.0.1:9"}
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))


def metrics(processor: RunningProcessor) -> set[str]:
    return {
        name for name in processor.pipeline._registry._families if not name.startswith("process_")
    }


def undocumented(names: set[str]) -> list[str]:
    """Those that no page has as a whole word: `a_b_total` does not document `a_b`."""
    documented = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", PAGES))
    return sorted(names - documented)


def promised(text: str) -> set[str]:
    """The names of metrics in a text: a histogram's series are those of the histogram."""
    found = re.findall(r"\b(?:spanmill|traces|tenant)_[a-z0-9_]*[a-z0-9]\b", text)
    return {re.sub("_(bucket|count|sum)$", "", name) for name in found}


def test_every_documented_metric_is_there(start: Start, tmp_path: Path) -> None:
    # What is there only where it is configured is configured here.
    names = metrics(
        start(
            exporters={
                "otlp_traces": {"backend": NOWHERE},
                "otlp_metrics": {"backend": {**NOWHERE, "derived": True}},
            },
            span_metrics={"dialects": ["tempo", "otel"], "target_info": True},
            processors=[{"name": "tenants", "file": DOCS / "examples" / "tenants.py"}],
            state={"directory": tmp_path / "state"},
        )
    )
    assert promised(PAGES) - names == set()


def test_a_name_that_is_not_there_is_found() -> None:
    text = "`spanmill_gone_total{exporter}`, spanmill_export_…, `traces_x_seconds_bucket`"
    assert promised(text) == {"spanmill_gone_total", "traces_x_seconds"}


def test_every_metric_is_documented(start: Start) -> None:
    names = metrics(
        start(exporters={"otlp_traces": {"backend": NOWHERE}, "otlp_metrics": {"backend": NOWHERE}})
    )
    assert {"traces_spanmetrics_calls_total", "spanmill_series"} <= names
    assert undocumented(names) == []


def test_every_metric_of_a_processor_of_ones_own_is_documented(start: Start) -> None:
    tenants = {"name": "tenants", "file": DOCS / "examples" / "tenants.py"}
    names = metrics(start(processors=[tenants]))
    assert {"tenant_requests_total", "spanmill_processor_up"} <= names
    assert undocumented(names) == []


def test_a_part_of_a_documented_name_is_not_documented() -> None:
    assert undocumented({"spanmill_series_limi", "spanmill_series"}) == ["spanmill_series_limi"]
