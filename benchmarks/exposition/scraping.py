"""One scrape by an HTTP client."""

from __future__ import annotations

import http.client
import time
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

ACCEPT: Final = {
    "text": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    ),
}
_READ: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Scrape:
    """What came in how many seconds: bytes on the wire, and of the exposition itself.

    `failure` says why there is nothing.
    """

    seconds: float
    wire: int = 0
    size: int = 0
    failure: str = ""


def scrape(url: str, form: str, *, gzip: bool, timeout: float) -> Scrape:
    """Ask for one format; what comes is counted, and forgotten."""
    parts = urlsplit(url)
    begin = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    inflate = zlib.decompressobj(31)
    wire = size = 0
    compressed: list[bytes] = []
    try:
        headers = {"Accept": ACCEPT[form], "Accept-Encoding": "gzip" if gzip else "identity"}
        connection.request("GET", parts.path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            return Scrape(time.monotonic() - begin, failure=f"HTTP {response.status}")
        buffer = bytearray(_READ)
        while count := response.readinto(buffer):
            wire += count
            if gzip:
                compressed.append(bytes(memoryview(buffer)[:count]))
            if time.monotonic() - begin > timeout:
                raise TimeoutError
        seconds = time.monotonic() - begin
    except (OSError, http.client.HTTPException) as error:
        return Scrape(time.monotonic() - begin, failure=type(error).__name__)
    finally:
        connection.close()
    if not gzip:
        return Scrape(seconds, wire, wire)
    # Afterwards: inflating isn't the target's work.
    size = sum(len(inflate.decompress(piece)) for piece in compressed)
    return Scrape(seconds, wire, size)
