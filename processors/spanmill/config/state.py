"""What is kept on disk, how safely, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from spanmill.config.section import Section
from spanmill.config.value_types import Bytes, FilePath, Seconds, conflict

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30


class StateConfig(Section):
    """What is kept on disk: the journal, the checkpoints, and where each destination stands."""

    durability: Literal["synced", "written", "memory"] = Field(
        default="synced",
        description="What an acknowledgement promises: synced, it survives a power cut; written, "
        "a crash of the process but not of the machine; memory, neither, and nothing is kept on "
        "disk.",
    )
    directory: FilePath = Field(
        default=Path("state"),
        description="The folder; one process has it at a time.",
    )
    max_bytes: Bytes = Field(
        default=16 * _GIB,
        description="The most that the journal takes on disk. Beyond it the oldest records expire "
        "for the destinations that lack them, unless one is `required`: then nothing more is "
        "taken.",
    )
    max_age: Seconds = Field(
        default=48 * 3600.0,
        description="How long a record waits for destinations that are not `required`.",
    )
    max_dead_letter_bytes: Bytes = Field(
        default=256 * _MIB,
        description="The most that requests take on disk which a destination refused for good, or "
        "which are too large for it; beyond it, or after max_age, the oldest go.",
    )
    segment_bytes: Bytes = Field(
        default=64 * _MIB,
        description="The size of a file of the journal; space is freed by whole files.",
    )
    checkpoint_interval: Seconds = Field(
        default=60.0,
        description="How often the series are saved; a start reads the records since then.",
    )

    @model_validator(mode="after")
    def _holds_segments(self) -> Self:
        if self.max_bytes < 4 * self.segment_bytes:
            raise conflict(
                f"max_bytes must hold at least 4 segments of segment_bytes ({self.segment_bytes})",
                "max_bytes",
                "segment_bytes",
            )
        return self
