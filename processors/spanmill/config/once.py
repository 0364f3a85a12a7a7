"""How long a request is remembered, so that it counts once however often it is sent."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from spanmill.config.section import Section
from spanmill.config.value_types import Count, Seconds

_MOST_REQUESTS: Final = 1 << 20


class OnceConfig(Section):
    """Requests that were taken and come again; `once: null` counts each copy."""

    window: Seconds = Field(
        default=900.0,
        description="How long a request that was taken is known again, by the same client.",
    )
    max_requests: Annotated[Count, Field(le=_MOST_REQUESTS)] = Field(
        default=1 << 16,
        description="How many requests are known, up to 254 bytes each, or 574 where a part was "
        "rejected; the oldest are forgotten first. At most 1048576.",
    )
