"""What a push costs: `python tests/exporters/otlp_metrics/push_cost.py [--label-sets N]`."""

from __future__ import annotations

import argparse
import random
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from spanmill.config.model import Config
from spanmill.exporters.otlp_metrics.metric import HistogramForm
from spanmill.exporters.otlp_metrics.request_size import LARGEST_REQUEST
from spanmill.exporters.otlp_metrics.requests import encode
from spanmill.processors.factory import build_processors
from spanmill.series.registry import Registry
from spanmill.series.snapshot import FamilySnapshot
from spanmill.telemetry import Telemetry
from spanmill.testing import ManualClock, Span, batch_of

MIB = 1 << 20
BATCH = 2_000
SPANS_A_LABEL_SET = 20

Result = TypeVar("Result")


def main() -> None:
    """Print a line for each form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label-sets", type=int, default=20_000, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many (default: 3)")
    options = parser.parse_args()
    registry = filled_registry(options.label_sets)
    snapshot, locked = best_of(options.repeat, lambda: registry.snapshot(passed_through=False))
    series = sum(len(family.labels) for family in snapshot)
    print(f"{options.label_sets:,} label sets, {series:,} points; snapshot {locked:.2f} s CPU")
    forms: tuple[HistogramForm, ...] = ("native", "classic")
    for form in forms:
        sizes, encoding = best_of(options.repeat, partial(request_sizes, snapshot, form))
        tracemalloc.start()
        request_sizes(snapshot, form)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"{form}: encoding {encoding:.2f} s CPU, {sum(sizes) / MIB:.1f} MiB in {len(sizes)} "
            f"requests, at most {peak / MIB:.1f} MiB at a time; "
            f"{(locked + encoding) / 15:.1%} of a core at 15 s"
        )
    requests = list(encoded(snapshot, "native"))
    _, objects = best_of(1, lambda: [rebuilt(request) for request in requests])
    print(f"native, with objects of the protobuf library: {objects:.2f} s CPU")
    print(f"RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at its peak")


def filled_registry(label_sets: int) -> Registry:
    """Both dialects and the rest as configured by default, after some spans of each label set."""
    clock = ManualClock()
    registry = Registry(clock)
    config = Config.model_validate({"span_metrics": {"max_series": max(label_sets, 1)}})
    processors = build_processors(config, registry, Telemetry(registry))
    columns = list(dict.fromkeys(key for each in processors for key in each.attributes))
    rng = random.Random(1)
    for begin in range(0, label_sets * SPANS_A_LABEL_SET, BATCH):
        spans = [
            Span(
                name=f"GET /api/{word(n)}",
                service=f"service-{n % 50}",
                duration=round(rng.lognormvariate(16, 1.5)),
                trace_id=rng.randbytes(16),
                span_id=rng.randbytes(8),
            )
            for n in (i % label_sets for i in range(begin, begin + BATCH))
        ]
        batch = batch_of(spans, columns)
        for processor in processors:
            processor.observe(batch)
    return registry


def word(number: int) -> str:
    """A name of letters alone, which normalisation leaves as it is."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number)) + "-orders"


def encoded(snapshot: list[FamilySnapshot], form: HistogramForm) -> Iterator[bytes]:
    for part in encode(
        snapshot,
        [],
        time_ns=10**18,
        histograms=form,
        instance_id="bench:9464",
        max_bytes=LARGEST_REQUEST,
    ):
        yield part.payload


def request_sizes(snapshot: list[FamilySnapshot], form: HistogramForm) -> list[int]:
    return [len(payload) for payload in encoded(snapshot, form)]


def rebuilt(payload: bytes) -> bytes:
    """The request made anew, a field at a time, as one would with the library."""
    request = ExportMetricsServiceRequest()
    for resource_metrics in ExportMetricsServiceRequest.FromString(payload).resource_metrics:
        made = request.resource_metrics.add()
        made.resource.CopyFrom(resource_metrics.resource)
        metrics = made.scope_metrics.add().metrics
        for metric in resource_metrics.scope_metrics[0].metrics:
            new = metrics.add(name=metric.name, description=metric.description)
            kind = str(metric.WhichOneof("data"))
            for point in getattr(metric, kind).data_points:
                fields = {
                    field.name: value
                    for field, value in point.ListFields()
                    if field.name not in {"attributes", "exemplars", "positive"}
                }
                added = getattr(new, kind).data_points.add(**fields)
                for attribute in point.attributes:
                    value = attribute.value.string_value
                    added.attributes.add(key=attribute.key).value.string_value = value
                if kind == "exponential_histogram":
                    added.positive.offset = point.positive.offset
                    added.positive.bucket_counts.extend(list(point.positive.bucket_counts))
    return request.SerializeToString()


def best_of(repeat: int, work: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the least CPU time that it took in seconds."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.process_time()
        result = work()
        best = min(best, time.process_time() - begun)
    return result, best


if __name__ == "__main__":
    main()
