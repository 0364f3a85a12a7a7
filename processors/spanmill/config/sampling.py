"""Input that was sampled before it arrives."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from spanmill.config.section import Section


def _names_something(key: str | None) -> str | None:
    if key is not None and not key.strip():
        raise ValueError("an attribute key can't be empty")
    return key


class SamplingConfig(Section):
    """How many spans one received span stands for."""

    multiplier_attribute: Annotated[str | None, AfterValidator(_names_something)] = Field(
        default=None,
        description="A span attribute with that number, for samplers that don't write a "
        "threshold (`ot=th:`) into the trace state.",
    )
