"""What the queries on span metrics in literal_queries.yaml give for the recorded shop.

A function here is named by the file's key `gives`. It takes the case that is asked for and returns
the right value for each label set, computed from the spans alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from components.answers import BUSIEST, SECOND, Answer, Case, rates, scaled
from components.prometheus import Labels
from components.shop import (
    OTEL_BOUNDS,
    TEMPO_BOUNDS,
    ShopSpan,
    classic_quantile,
    labels_of,
    native_quantile,
)

# Grafana's table of spans


def _is_server(span: ShopSpan) -> bool:
    return span.kind == "SPAN_KIND_SERVER"


def _by_span_name(case: Case, wanted: Callable[[ShopSpan], bool]) -> Answer:
    counts = case.shop.calls(["name"], wanted)
    named = {labels_of(span_name=name): count for (name,), count in counts.items()}
    return replace(rates(case, named), largest=BUSIEST)


def server_calls_of_the_five_busiest_names(case: Case) -> Answer:
    return _by_span_name(case, _is_server)


def server_calls_of_the_five_busiest_names_of_the_service(case: Case) -> Answer:
    return _by_span_name(case, lambda span: _is_server(span) and span.service == case.service)


def errors_of_the_names_in_the_table(case: Case) -> Answer:
    return _by_span_name(case, lambda span: span.failed and span.name in case.span_names)


def _all_together(case: Case, wanted: Callable[[ShopSpan], bool]) -> Answer:
    total = case.shop.calls([], wanted).total()
    return rates(case, {(): total} if total else {})


def calls_of_the_name(case: Case) -> Answer:
    return _all_together(case, lambda span: span.name == case.span_name)


def errors_of_the_name(case: Case) -> Answer:
    return _all_together(case, lambda span: span.failed and span.name == case.span_name)


def _durations(case: Case, wanted: Callable[[ShopSpan], bool]) -> list[int]:
    return case.shop.durations([], wanted)[()]


def classic_p90_of_the_name(case: Case) -> Answer:
    durations = _durations(case, lambda span: span.name == case.span_name)
    return Answer({(): scaled(classic_quantile(0.9, durations, TEMPO_BOUNDS), SECOND)})


def native_p90_of_the_name(case: Case) -> Answer:
    durations = _durations(case, lambda span: span.name == case.span_name)
    return Answer({(): scaled(native_quantile(0.9, durations), SECOND)})


def classic_median_of_the_service(case: Case) -> Answer:
    durations = _durations(case, lambda span: span.service == case.service)
    return Answer({(): scaled(classic_quantile(0.5, durations, TEMPO_BOUNDS), SECOND)})


# Jaeger's Monitor tab


def _operations(case: Case, wanted: Callable[[ShopSpan], bool]) -> Counter[Labels]:
    calls = case.shop.calls(
        ["name"], lambda span: _is_server(span) and span.service == case.service and wanted(span)
    )
    return Counter(
        {
            labels_of(service_name=case.service, span_name=name): count
            for (name,), count in calls.items()
        }
    )


def _service(case: Case, wanted: Callable[[ShopSpan], bool]) -> Counter[Labels]:
    total = _operations(case, wanted).total()
    return Counter({labels_of(service_name=case.service): total} if total else {})


def _any(span: ShopSpan) -> bool:
    return True


def _failed(span: ShopSpan) -> bool:
    return span.failed


def server_calls_of_the_service(case: Case) -> Answer:
    return rates(case, _service(case, _any))


def server_calls_of_each_operation(case: Case) -> Answer:
    return rates(case, _operations(case, _any))


def error_share_of_the_service(case: Case) -> Answer:
    return _shares(_service(case, _failed), _service(case, _any))


def error_share_of_each_operation(case: Case) -> Answer:
    return _shares(_operations(case, _failed), _operations(case, _any))


def _shares(parts: Counter[Labels], wholes: Counter[Labels]) -> Answer:
    return Answer({labels: part / wholes[labels] for labels, part in parts.items()})


def p95_milliseconds_of_the_service(case: Case) -> Answer:
    return _milliseconds(case, [], 0.95)


def p95_milliseconds_of_each_operation(case: Case) -> Answer:
    return _milliseconds(case, ["name"], 0.95)


def _milliseconds(case: Case, by: Sequence[str], quantile: float) -> Answer:
    durations = case.shop.durations(
        by, lambda span: _is_server(span) and span.service == case.service
    )
    return Answer(
        {
            labels_of(service_name=case.service, **dict(zip(["span_name"], key, strict=False))): (
                scaled(classic_quantile(quantile, group, OTEL_BOUNDS), 1e6)
            )
            for key, group in durations.items()
        }
    )
