from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmill.series.names import SpanNames

CORPUS = Path(__file__).with_name("span_names_corpus.txt")
BECOMES = " ⇒ "


def lines() -> list[str]:
    text = CORPUS.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("# ")]


STAY = [line for line in lines() if BECOMES not in line and line != "#"]
FOLD = [tuple(line.split(BECOMES)) for line in lines() if BECOMES in line]


def test_the_corpus_is_large_and_has_no_name_twice() -> None:
    names = STAY + [name for name, _ in FOLD]
    assert len(set(names)) == len(names)
    assert len(STAY) >= 150
    assert len(FOLD) >= 150


@pytest.mark.parametrize("name", STAY)
def test_a_name_that_is_a_template_stays(name: str) -> None:
    assert SpanNames().label(name) == name


@pytest.mark.parametrize(("name", "label"), FOLD)
def test_what_varies_in_a_name_folds(name: str, label: str) -> None:
    assert SpanNames().label(name) == label


@pytest.mark.parametrize("label", sorted({label for _, label in FOLD}))
def test_a_label_is_its_own_label(label: str) -> None:
    assert SpanNames().label(label) == label


def test_every_name_of_the_demo_shop_stays(astronomy_requests: list[bytes]) -> None:
    names = {
        span.name
        for request in astronomy_requests
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert len(names) == 62
    labels = SpanNames().labels(sorted(names))
    assert labels == sorted(names)
