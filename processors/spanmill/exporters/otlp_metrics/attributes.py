"""Labels of series as the attributes of points, and which resource a point belongs under."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from spanmill.exporters.exposition.wire import LENGTH, key, length_delimited
from spanmill.series.snapshot import OVERFLOW_LABELS, LabelValues

_KEY = key(1, LENGTH)
_VALUE = key(2, LENGTH)
_STRING = key(1, LENGTH)
_RESOURCE_ATTRIBUTE = key(1, LENGTH)

SERVICE_NAME: Final = "spanmill"


class Owner(NamedTuple):
    """Which of the labels `job` and `instance` a series has itself.

    Prometheus makes them from a resource's `service.name` and `service.instance.id`, over those
    of a point: a series that has its own goes under a resource that doesn't name them, so that
    they come out as by a scrape with `honor_labels`.
    """

    job: bool
    instance: bool


_OWNERS: Final = {
    (job, instance): Owner(job, instance) for job, instance in product((False, True), repeat=2)
}


def resource_message(owner: Owner, instance_id: str) -> bytes:
    """A `Resource`: this process, less what the series say themselves.

    Nothing else is in it: of any further attribute Prometheus makes a series `target_info`.
    """
    attributes = []
    if not owner.job:
        attributes.append(key_value("service.name", SERVICE_NAME))
    if not owner.instance:
        attributes.append(key_value("service.instance.id", instance_id))
    return b"".join(length_delimited(_RESOURCE_ATTRIBUTE, each) for each in attributes)


def key_value(name: str, text: str) -> bytes:
    """A `KeyValue` with a string."""
    value = length_delimited(_STRING, text.encode())
    return length_delimited(_KEY, name.encode()) + length_delimited(_VALUE, value)


def attribute_fields(
    field_key: bytes, names: tuple[str, ...], labels: Sequence[LabelValues | None]
) -> Iterator[tuple[Owner, bytes]]:
    """The attributes of each series, without empty labels, and where it belongs.

    Each value of a label is encoded once. Memory: some 150 bytes a distinct value.
    """
    columns = [_EncodedValues(field_key, name) for name in names]
    job, instance = (names.index(name) if name in names else None for name in Owner._fields)
    nobody = Owner(job=False, instance=False)
    for values in labels:
        if values is None:
            yield (
                nobody,
                b"".join(
                    length_delimited(field_key, key_value(name, value))
                    for name, value in OVERFLOW_LABELS
                ),
            )
            continue
        owner = nobody
        if job is not None or instance is not None:
            owner = _OWNERS[
                job is not None and values[job] != "",
                instance is not None and values[instance] != "",
            ]
        yield (
            owner,
            b"".join([column[value] for column, value in zip(columns, values, strict=True)]),
        )


class _EncodedValues(dict[str, bytes]):
    """The values of one label as fields."""

    def __init__(self, field_key: bytes, name: str) -> None:
        super().__init__()
        self._field_key = field_key
        self._name = name

    def __missing__(self, value: str) -> bytes:
        field = length_delimited(self._field_key, key_value(self._name, value)) if value else b""
        self[value] = field
        return field
