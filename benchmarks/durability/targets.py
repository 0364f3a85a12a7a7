"""spanmill with each durability, and the Collector with its queue in memory or on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from benchmarks.ingest.targets import (
    Collector,
    Launch,
    Spanmill,
)
from spanmill.errors import StartError

DURABILITIES: Final = ("memory", "written", "synced")


class DurableSpanmill(Spanmill):
    """spanmill as shipped, with one durability; its state is in the folder of the run."""

    def __init__(self, durability: str) -> None:
        super().__init__(f"spanmill, {durability}")
        self._durability = durability

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """Write its configuration."""
        launch = super().prepare(folder, sink)
        file = folder / "spanmill.yaml"
        config = yaml.safe_load(file.read_text())
        config["state"] = {"durability": self._durability, "directory": str(folder / "state")}
        file.write_text(yaml.safe_dump(config))
        return launch


class DurableCollector(Collector):
    """The Collector whose sending queue is on disk, synced: what it acknowledges is there.

    Its queue holds a thousand requests, and makes clients wait when it is full, as in the other
    benchmarks; without `storage` it is in memory.
    """

    def __init__(self, binary: Path, *, storage: bool) -> None:
        super().__init__(binary)
        self.name = "Collector, file_storage with fsync" if storage else "Collector, memory"
        self._storage = storage

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """Write its configuration; there is no queue on disk without a sink to send to."""
        if sink is None:
            raise StartError("the Collector's queue is that of a destination")
        launch = super().prepare(folder, sink)
        if self._storage:
            file = folder / "collector.yaml"
            config = yaml.safe_load(file.read_text())
            queue = folder / "queue"
            queue.mkdir()
            config["extensions"]["file_storage"] = {"directory": str(queue), "fsync": True}
            config["service"]["extensions"].append("file_storage")
            config["exporters"]["otlp_http"]["sending_queue"]["storage"] = "file_storage"
            file.write_text(yaml.safe_dump(config))
        return launch
