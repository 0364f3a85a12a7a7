"""Processors of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from spanmill.config.section import Section
from spanmill.config.value_types import Count, FilePath, Seconds, conflict

BUILT_IN: Final = ("span_metrics", "target_info", "service_graph", "percentiles", "service_metrics")
"""Names that processors of one's own can't have."""

MAX_PROCESSORS: Final = 100

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _processor_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            "a processor's name is 1 to 63 small letters, digits and _, and begins with a letter"
        )
    if name in BUILT_IN:
        raise ValueError(f"{name} is the name of a processor of spanmill's own")
    return name


class ProcessorConfig(Section):
    """A processor of one's own: a class in a file, or one that an installed package offers."""

    name: Annotated[str, AfterValidator(_processor_name)] = Field(
        description="How the log and `spanmill_processor_*` name it."
    )
    file: FilePath | None = Field(
        default=None, description="The Python file that has the class; or `entry_point`."
    )
    entry_point: str | None = Field(
        default=None,
        description="The name of an installed entry point of the group `spanmill.processors`; "
        "or `file`. Nothing installed runs unless it is named here.",
    )
    class_name: str | None = Field(
        default=None, description="The class in `file`; needed where that has several."
    )
    settings: Mapping[str, Any] = Field(
        default_factory=dict, description="Handed to the class as keyword arguments."
    )
    max_series: Count = Field(
        default=1000,
        description="Label sets kept at once, of each of its groups of metrics with the same "
        "labels; further ones share an overflow series.",
    )
    idle_timeout: Seconds = Field(
        default=15 * 60.0,
        description="How long a label set stays that nothing is added to.",
    )
    max_failures: Count = Field(
        default=10,
        description="So many batches, or ticks, that fail switch it off until the next start; "
        "ten that succeed make one failure forgotten.",
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.file is None) is (self.entry_point is None):
            several = self.file is not None
            raise conflict(
                "file and entry_point are both set; one of them says where the class is"
                if several
                else "needs file (a Python file) or entry_point (an installed one)",
                *(("file", "entry_point") if several else ("name", "file", "entry_point")),
            )
        if self.class_name is not None and self.file is None:
            raise conflict("goes with file; an entry point names its class itself", "class_name")
        return self


def _names_differ(processors: tuple[ProcessorConfig, ...]) -> tuple[ProcessorConfig, ...]:
    names = [processor.name for processor in processors]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the name {name!r} is given twice")
    return processors


ProcessorConfigs = Annotated[
    tuple[ProcessorConfig, ...], Field(max_length=MAX_PROCESSORS), AfterValidator(_names_differ)
]
"""Processors of one's own, in the order in which they take a batch."""
