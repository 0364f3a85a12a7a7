"""rotel, a collector in Rust with a Python wheel, as far as it can stand beside: it forwards."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.ingest.targets import Launch, free_ports, printed_by
from spanmill.errors import StartError

_MAX_REQUEST_MIB: Final = "64"


class Rotel:
    """Receives and forwards; it derives nothing, so there are no counts to compare.

    This version compresses what it sends whatever it is told.
    """

    name = "rotel, forwards only, gzip"
    calls: tuple[str, ...] = ()
    derives = False

    def version(self) -> str:
        """Its version line."""
        return printed_by([str(_agent()), "--version"])

    def prepare(self, folder: Path, sink: int | None) -> Launch:
        """All of its configuration is in the arguments."""
        receiver, http = free_ports(2)
        command = [
            *(str(_agent()), "start", "--exporter", "otlp"),
            *("--pid-file", str(folder / "rotel.pid")),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{receiver}"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http}"),
            *("--otlp-grpc-max-recv-msg-size-mib", _MAX_REQUEST_MIB),
            *("--otlp-exporter-endpoint", f"http://127.0.0.1:{sink}"),
            *("--otlp-exporter-protocol", "http", "--otlp-exporter-compression", "none"),
        ]
        url = f"http://127.0.0.1:{http}/v1/traces"
        return Launch(command, {}, f"127.0.0.1:{receiver}", url, url, "")


def _agent() -> Path:
    spec = find_spec("rotel")
    if spec is None or spec.origin is None:
        raise StartError("rotel is not installed: pip install rotel==0.0.1a15")
    return Path(spec.origin).with_name("rotel-agent")
