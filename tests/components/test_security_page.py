"""docs/security.md from top to bottom: its commands, and the real programs with its files."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import urllib3
import yaml

from components.binaries import component
from components.process import Process, Processes, free_ports, wait_until
from components.processor import SPANMILL
from components.prometheus import Prometheus
from components.shipped import PROJECT
from receivers.sent_signals import TRACES

pytestmark = pytest.mark.components

PAGE = PROJECT / "docs" / "security.md"
DEADLINE = 30.0


@dataclass(frozen=True)
class Secured:
    """The page's folder once its commands were run, with ports of our own in its files."""

    folder: Path
    collector: int
    spanmill: int
    scrape: int

    def get(self, path: str, token: str | None = None) -> urllib3.BaseHTTPResponse:
        authority = str(self.folder / "ca.pem")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with urllib3.HTTPSConnectionPool(
            "localhost", self.scrape, ca_certs=authority, retries=False, timeout=5
        ) as pool:
            return pool.urlopen("GET", path, headers=headers)

    def ready(self) -> bool:
        try:
            return self.get("/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


@pytest.fixture
def one_span() -> bytes:
    return TRACES.good(1)


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    folder = tmp_path_factory.mktemp("secured")
    (commands,) = snippets("sh")
    subprocess.run(["bash", "-c", commands], cwd=folder, check=True, capture_output=True)
    collector, spanmill, scrape = free_ports(3)
    ports = {":4317": collector, ":5317": spanmill, ":9464": scrape}
    for snippet in snippets("yaml"):
        named = re.match(r"# (\S+)\n", snippet)
        if named is None:
            continue
        text = snippet.replace("scrape_interval: 15s", "scrape_interval: 1s")
        for port, free in ports.items():
            text = text.replace(port, f":{free}")
        (folder / named[1]).write_text(text)
    return Secured(folder, collector, spanmill, scrape)


@pytest.fixture(scope="module")
def running(processes: Processes, secured: Secured) -> Secured:
    """spanmill and the Collector, as the page starts them."""
    spanmill = Process.start([*SPANMILL, "run", "--config", "spanmill.yaml"], secured.folder)
    processes.running.append(spanmill)
    wait_until(secured.ready, DEADLINE, "spanmill is ready")
    token = (secured.folder / "collector.token").read_text().strip()
    collector = Process.start(
        [component("otelcol"), "--config", "collector.yaml"],
        secured.folder,
        {"SPANMILL_TOKEN": token},
    )
    processes.running.append(collector)
    return secured


def start_prometheus(processes: Processes, secured: Secured, config: str) -> Prometheus:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    processes.start(
        [
            component("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={secured.folder / config}.data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        secured.folder,
        ready_url=f"{url}/-/ready",
    )
    return Prometheus(url)


def is_scraped(prometheus: Prometheus) -> bool:
    return prometheus.query('up{job="spanmill"} == 1') != {}


@pytest.mark.parametrize("file", ["spanmill.yaml", "cors.yaml"])
def test_spanmill_accepts_the_pages_files(secured: Secured, file: str) -> None:
    checked = subprocess.run(
        [*SPANMILL, "check", file], cwd=secured.folder, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "unprotected" not in checked.stdout


def test_a_collector_sends_over_mutual_tls_with_its_token(
    running: Secured, one_span: bytes
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{running.collector}") as channel:
        export = channel.unary_unary(TRACES.method, None, None)
        export(one_span, timeout=DEADLINE, wait_for_ready=True)
    token = (running.folder / "prometheus.token").read_text().strip()

    def arrived() -> bool:
        text = running.get("/metrics", token).data
        return b'spanmill_spans_received_total{outcome="accepted"} 1' in text

    wait_until(arrived, DEADLINE, "the span is there")


def test_without_the_token_or_the_certificate_nothing_is_taken(
    running: Secured, one_span: bytes
) -> None:
    def read(name: str) -> bytes:
        return (running.folder / name).read_bytes()

    with_certificate = grpc.ssl_channel_credentials(
        read("ca.pem"), read("collector.key"), read("collector.pem")
    )
    without = grpc.ssl_channel_credentials(read("ca.pem"))
    for credentials, code in (
        (with_certificate, grpc.StatusCode.UNAUTHENTICATED),
        (without, grpc.StatusCode.UNAVAILABLE),
    ):
        with grpc.secure_channel(f"localhost:{running.spanmill}", credentials) as channel:
            export = channel.unary_unary(TRACES.method, None, None)
            assert export.future(one_span, timeout=DEADLINE).code() is code


def test_a_prometheus_scrapes_with_its_token(processes: Processes, running: Secured) -> None:
    prometheus = start_prometheus(processes, running, "prometheus.yml")
    wait_until(lambda: is_scraped(prometheus), DEADLINE, "Prometheus scrapes")
    assert running.get("/metrics").status == 401


def test_a_prometheus_scrapes_with_a_password(
    processes: Processes, secured: Secured, tmp_path: Path
) -> None:
    (basic_auth,) = (text for text in snippets("yaml") if "basic_auth" in text)
    password = secrets.token_hex(16)
    (scrape,) = free_ports(1)
    (secured.folder / "prometheus.password").write_text(password + "\n")
    (tmp_path / "spanmill.yaml").write_text(
        yaml.safe_dump(
            {
                "receivers": {"otlp": {"grpc": None, "http": {"endpoint": "127.0.0.1:0"}}},
                "exporters": {
                    "prometheus": {
                        "endpoint": f"127.0.0.1:{scrape}",
                        "auth": {
                            "username": "prometheus",
                            "password_file": str(secured.folder / "prometheus.password"),
                        },
                    }
                },
            }
        )
    )
    processes.start(
        [*SPANMILL, "run", "--config", "spanmill.yaml"],
        tmp_path,
        ready_url=f"http://127.0.0.1:{scrape}/readyz",
    )
    config = yaml.safe_load((secured.folder / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    for key in ("scheme", "tls_config", "authorization"):
        del job[key]
    job |= yaml.safe_load(basic_auth)
    job["static_configs"] = [{"targets": [f"localhost:{scrape}"]}]
    (secured.folder / "basic.yml").write_text(yaml.safe_dump(config))
    prometheus = start_prometheus(processes, secured, "basic.yml")
    wait_until(lambda: is_scraped(prometheus), DEADLINE, "Prometheus scrapes")


def test_the_certificate_is_renewed_while_all_of_it_runs(
    processes: Processes, running: Secured, one_span: bytes
) -> None:
    """The Collector connects anew only when it must: openssl looks at each new handshake."""

    def served(port: int) -> str:
        shown = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", "ca.pem"),
                *("-cert", "collector.pem", "-key", "collector.key", "-alpn", "h2,http/1.1"),
                "-verify_return_error",
            ],
            cwd=running.folder,
            input="",
            capture_output=True,
            text=True,
            errors="replace",  # gRPC's first frames are shown as well
            check=False,
            timeout=DEADLINE,
        ).stdout
        return shown[shown.index("-----BEGIN") : shown.index("-----END")]

    ports = (running.spanmill, running.scrape)
    before = {served(port) for port in ports}
    assert len(before) == 1
    subprocess.run(
        [
            *(
                "openssl",
                "x509",
                "-req",
                "-in",
                "spanmill.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
            ),
            *("-days", "2", "-extfile", "spanmill.ext", "-out", "spanmill.pem"),
        ],
        cwd=running.folder,
        check=True,
        capture_output=True,
    )
    wait_until(
        lambda: not before & {served(port) for port in ports}, DEADLINE, "the new one is shown"
    )
    assert running.ready()
