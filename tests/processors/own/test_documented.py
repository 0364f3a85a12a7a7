"""The examples of docs/processors.md are files that run, and keep the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.own.hosting import SECOND, START, Shown
from spanmill.config.load import load_config
from spanmill.config.processors import ProcessorConfig
from spanmill.journal.state import decode_state, encode_state
from spanmill.processors import Metrics, Processor
from spanmill.processors.loading import class_in_file
from spanmill.processors.own import build_own_processor
from spanmill.testing import Span, batch_of, check_processor

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "processors.md").read_text(encoding="utf-8")
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
MS = 1_000_000


def made(name: str, metrics: Metrics, settings: Mapping[str, Any]) -> Processor:
    file = DOCS / "examples" / f"{name}.py"
    processor: Processor = class_in_file(file, None, f"example_{name}")(metrics, **settings)
    return processor


def shown(name: str, spans: list[Span], **settings: Any) -> Shown:
    """The metrics of an example after these spans, loaded as a start would."""
    result = Shown()
    config = ProcessorConfig(name=name, file=DOCS / "examples" / f"{name}.py", settings=settings)
    hosted = build_own_processor(config, result.registry)
    hosted.observe(batch_of(spans, hosted.attributes, START))
    return result


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_page_shows_the_file_as_it_is(file: Path) -> None:
    assert f"```python\n{file.read_text(encoding='utf-8')}```" in PAGE


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_each_example_is_short(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert 10 <= len(lines) <= 30


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tenants", {}),
        ("tenants", {"attribute": "customer"}),
        ("tenants_per_span", {}),
        ("apdex", {"threshold_seconds": 0.01}),
        ("database_time", {}),
        ("silence", {}),
        ("silence", {"forget_after_seconds": 50}),
    ],
)
def test_each_example_keeps_the_contract(name: str, settings: Mapping[str, Any]) -> None:
    check_processor(partial(made, name, settings=settings))


def test_each_configuration_on_the_page_can_be_used(tmp_path: Path) -> None:
    texts = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert texts
    for text in texts:
        file = tmp_path / "spanmill.yaml"
        file.write_text(text, encoding="utf-8")
        assert load_config(file, {}).config.processors


@pytest.mark.parametrize("name", ["tenants", "tenants_per_span"])
def test_requests_are_counted_by_tenant(name: str) -> None:
    spans = [
        Span(attributes={"tenant.id": "a"}),
        Span(attributes={"tenant.id": "a"}, weight=4),
        Span(attributes={"tenant.id": 17}),
        Span(attributes={"tenant.id": "a"}, kind=3),
        Span(),
    ]
    assert shown(name, spans).values("tenant_requests_total") == {
        ("shop", "a"): 5,
        ("shop", "17"): 1,
        ("shop", ""): 1,
    }


@given(
    st.lists(
        st.builds(
            Span,
            service=st.sampled_from(["a", "b", None, 7]),
            kind=st.sampled_from([2, 3]),
            weight=st.sampled_from([1.0, 2.0, 8.0]),
            attributes=st.fixed_dictionaries(
                {}, optional={"tenant.id": st.sampled_from(["x", "", 7, "7", None, True])}
            ),
        ),
        max_size=30,
    )
)
def test_one_span_at_a_time_counts_what_columns_count(spans: list[Span]) -> None:
    columns, one_by_one = (
        {
            f.family.name: sorted(zip(f.labels, f.data.values.tolist(), strict=True))  # type: ignore[union-attr]  # counters, none in overflow
            for f in found
        }
        for found in (
            shown(name, spans).registry.snapshot() for name in ("tenants", "tenants_per_span")
        )
    )
    assert columns == one_by_one


def test_apdex_scores_requests_by_their_threshold() -> None:
    spans = [
        Span(duration=100 * MS),
        Span(duration=101 * MS),
        Span(duration=400 * MS),
        Span(duration=401 * MS),
        Span(duration=1 * MS, status=2),
        Span(duration=1 * MS, kind=3),
    ]
    assert shown("apdex", spans, threshold_seconds=0.1).values("apdex_requests_total") == {
        ("shop", "satisfied"): 1,
        ("shop", "tolerating"): 2,
        ("shop", "frustrated"): 2,
    }


def test_database_time_is_told_by_statement() -> None:
    def query(duration: int, **attributes: str) -> Span:
        named = {key.replace("_", "."): value for key, value in attributes.items()}
        return Span(kind=3, duration=duration * MS, attributes=named)

    spans = [
        query(5, db_query_text="select * from a"),
        query(7, db_query_text="SELECT 1", db_operation_name="SELECT"),
        query(9, db_operation_name="findAndModify"),
        query(9, db_query_text=""),
        query(9),
    ]
    result = shown("database_time", spans)
    assert {labels: sum(counts) for labels, counts in result.counts("db_time_seconds").items()} == {
        ("shop", "", "SELECT"): 2,
        ("shop", "", "other"): 2,
    }


def test_a_service_is_silent_since_its_last_span_also_after_a_restart() -> None:
    before, after = Shown(), Shown()
    config = ProcessorConfig(name="silence", file=DOCS / "examples" / "silence.py")
    first, second = (build_own_processor(config, shown.registry) for shown in (before, after))
    first.observe(batch_of([Span(service="a")], (), START))
    second.restore(decode_state(encode_state(first.state())))
    second.observe(batch_of([Span(service="b")], (), START + 60 * SECOND))
    second.tick(START + 90 * SECOND)
    assert after.values("silence_seconds") == {("a",): 90.0, ("b",): 30.0}
