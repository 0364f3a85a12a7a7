"""What many tests need: the real data, and waiting without sleeping for long."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, settings

from waiting import Eventually

# A slow machine is no failure: no test depends on a time.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout (SPANMILL_TEST_DATA names another)."""
    folder = Path(os.environ.get("SPANMILL_TEST_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}, which is not there")
    return folder


@pytest.fixture(scope="session")
def astronomy_file(shared_data: Path) -> Path:
    """The recorded spans of the demo shop."""
    return shared_data / "astronomy-oteltraces.zst"


@pytest.fixture(scope="session")
def astronomy_requests(astronomy_file: Path) -> list[bytes]:
    """Its 465 serialised ExportTraceServiceRequests, read without the code under test."""
    return framed_messages(astronomy_file)


@pytest.fixture(scope="session")
def host_metric_requests(shared_data: Path) -> list[bytes]:
    """The serialised ExportMetricsServiceRequests of a host and a Collector, read likewise."""
    return framed_messages(shared_data / "hostandcollector-otelmetrics.zst")


def framed_messages(path: Path) -> list[bytes]:
    """The messages of a recording."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file).read()
    messages, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from(">I", data, offset)
        messages.append(data[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return messages


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds, and fail with `what` when it does not within 20 s."""

    def wait(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"still not so after 20 s: {what}")
            time.sleep(0.005)

    return wait
