"""Input that was sampled before it arrives."""

from __future__ import annotations

from pydantic import Field

from spanmill.config.section import Section


class SamplingConfig(Section):
    """How many spans one received span stands for."""

    multiplier_attribute: str | None = Field(
        default=None,
        description="A span attribute with that number, for samplers that don't write a "
        "threshold (`ot=th:`) into the trace state.",
    )
