"""What derives metrics from batches of spans; what stands here is for authors of processors."""

from spanmill.errors import DeclarationError
from spanmill.journal.state import State
from spanmill.processors.columns import (
    CLIENT,
    CONSUMER,
    ERROR,
    INTERNAL,
    PRODUCER,
    SERVER,
    first_given,
    map_values,
    resource_attribute,
    service_names,
)
from spanmill.processors.instruments import Counter, Gauge, Histogram
from spanmill.processors.interface import Keeps, Processor
from spanmill.processors.label_groups import Label
from spanmill.processors.metrics import DEFAULT_BUCKETS, Metrics
from spanmill.processors.per_span import PerSpan, Span
from spanmill.spans.batch import ABSENT, SPAN_KINDS, STATUS_CODES, Coded, SpanBatch

__all__ = [
    "ABSENT",
    "CLIENT",
    "CONSUMER",
    "DEFAULT_BUCKETS",
    "ERROR",
    "INTERNAL",
    "PRODUCER",
    "SERVER",
    "SPAN_KINDS",
    "STATUS_CODES",
    "Coded",
    "Counter",
    "DeclarationError",
    "Gauge",
    "Histogram",
    "Keeps",
    "Label",
    "Metrics",
    "PerSpan",
    "Processor",
    "Span",
    "SpanBatch",
    "State",
    "first_given",
    "map_values",
    "resource_attribute",
    "service_names",
]
