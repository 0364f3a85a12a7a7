"""Every metric that spanmill has stands in the documentation."""

from __future__ import annotations

from pathlib import Path

from running_processor import Start

DOCS = Path(__file__).parents[2] / "docs"
NOWHERE = {"endpoint": "http://127.0.0.1:9"}


def test_every_metric_is_documented(start: Start) -> None:
    processor = start(
        exporters={"otlp_traces": {"backend": NOWHERE}, "otlp_metrics": {"backend": NOWHERE}}
    )
    families = processor.pipeline._registry._families
    names = {name for name in families if not name.startswith("process_")}
    assert {"traces_spanmetrics_calls_total", "spanmill_series"} <= names
    pages = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))
    assert sorted(name for name in names if name not in pages) == []
