"""A real browser sends OTLP from pages that are allowed to, and from one that isn't."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from receivers.receiver_pipeline import PipelineFactory, ReceiverPipeline
from spanmill.clock import SystemClock
from spanmill.config.auth import OtlpAuthConfig
from spanmill.config.cors import CorsConfig
from spanmill.receivers.auth import clients_of
from spanmill.receivers.http import HttpReceiver

TOKEN = "a-token-for-pages"
PAGE = """<!doctype html><p id=told>waiting</p><script>
const headers = {"Content-Type": "application/json", "Authorization": "Bearer %(token)s"};
fetch("http://127.0.0.1:%(port)d/v1/traces", {method: "POST", headers, body: "{}"})
  .then(answer => told.textContent = "read " + answer.status)
  .catch(error => told.textContent = "hidden");
</script>"""


@pytest.fixture
def page_port() -> Iterator[int]:
    """A server of pages: its origin differs from the receiver's by its port."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, token, port = self.path.split("/")
            body = (PAGE % {"token": token, "port": int(port)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def told_by(browser: str, folder: Path, url: str) -> str:
    """What the page says once its request is over."""
    shown = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--virtual-time-budget=20000", f"--user-data-dir={folder}", url),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    ).stdout
    found = re.search(r"<p id=\"told\">(.*?)</p>", shown)
    assert found is not None, shown
    return found[1]


def test_promise_24_a_page_reads_what_it_may_and_nothing_else(
    start_pipeline: PipelineFactory, page_port: int, tmp_path: Path
) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs the chromium command")
    origin = f"http://127.0.0.1:{page_port}"
    pipeline: ReceiverPipeline = start_pipeline()
    told = []
    for allowed, token in ((origin, TOKEN), (origin, "wrong"), ("https://other.example", TOKEN)):
        receiver = HttpReceiver(
            pipeline.intakes,
            "127.0.0.1",
            0,
            1 << 20,
            clients=clients_of(
                OtlpAuthConfig.model_validate({"tokens": {"page": TOKEN}}), SystemClock()
            ),
            cors=CorsConfig.model_validate({"allowed_origins": [allowed]}),
        )
        receiver.bind()
        receiver.start()
        try:
            told.append(told_by(browser, tmp_path, f"{origin}/{token}/{receiver.port}"))
        finally:
            receiver.stop(5)
    assert told == ["read 200", "read 401", "hidden"]
