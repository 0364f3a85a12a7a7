"""Exemplars of histograms."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spanmill.config.section import Section

Ratio = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class ExemplarsConfig(Section):
    """Trace ids beside histogram buckets; `exemplars: null` turns them off."""

    max_exemplars: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = Field(
        default=20_000, description="Exemplars kept at once, over all histograms."
    )
    kept_ratio: Ratio = Field(
        default=1.0,
        description="Share of the traces without an error that a tail sampler behind keeps: "
        "traces that are kept, by its rule, come first.",
    )
    hash_salt: str = Field(default="", description="The sampler's `hash_salt`.")
