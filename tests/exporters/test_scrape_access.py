"""Who may read /metrics and /series."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from certificate_files import Authority
from spanmill.clock import SystemClock
from spanmill.config.auth import ScrapeAuthConfig
from spanmill.config.model import PrometheusConfig
from spanmill.errors import StartError
from spanmill.exporters.scrape_access import scrape_access
from spanmill.exporters.scrape_server import build_scrape_server
from spanmill.http_server import HttpServer
from spanmill.series.registry import Registry

TOKEN = "scrape-secret"
GUARDED = ("/metrics", "/series")
Start = Callable[..., HttpServer]


class SteppedClock(SystemClock):
    """Its monotonic time goes on by two seconds with each look."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 2
        return self.seconds


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[HttpServer] = []

    def started(**settings: object) -> HttpServer:
        config = PrometheusConfig.model_validate({"endpoint": "127.0.0.1:0", **settings})
        clock = SteppedClock()
        server = build_scrape_server(
            config, Registry(clock), clock, ready=lambda: True, restored=lambda: True
        )
        server.bind()
        server.start()
        servers.append(server)
        return server

    yield started
    for server in servers:
        server.stop(5)


def get(server: HttpServer, path: str, *authorization: str) -> urllib3.BaseHTTPResponse:
    headers = urllib3.HTTPHeaderDict()
    for value in authorization:
        headers.add("Authorization", value)
    url = f"http://127.0.0.1:{server.port}{path}"
    return urllib3.request("GET", url, headers=headers, retries=False, timeout=20)


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def test_without_a_section_everyone_may_read(start: Start) -> None:
    server = start()
    assert {get(server, path).status for path in (*GUARDED, "/healthz")} == {200}


@pytest.mark.parametrize("path", GUARDED)
def test_the_token_opens_and_nothing_else_does(start: Start, path: str) -> None:
    server = start(auth={"token": TOKEN})
    assert get(server, path, f"Bearer {TOKEN}").status == 200
    for wrong in ((), ("Bearer x",), (f"Bearer {TOKEN} ",), (basic(f"a:{TOKEN}"),)):
        answer = get(server, path, *wrong)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="spanmill"'
    twice = (f"Bearer {TOKEN}", f"Bearer {TOKEN}")
    assert get(server, path, *twice).status == 401


def test_health_and_readiness_stay_open(start: Start) -> None:
    server = start(auth={"token": TOKEN})
    assert {get(server, path).status for path in ("/healthz", "/readyz", "/")} == {200}


def test_a_user_name_and_a_password_open(start: Start) -> None:
    server = start(auth={"username": "prometheus", "password": "päss:word"})
    assert get(server, "/metrics", basic("prometheus:päss:word")).status == 200
    for wrong in ("prometheus:other", "other:päss:word", "prometheus:", ":päss:word", "x"):
        answer = get(server, "/metrics", basic(wrong))
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert get(server, "/metrics", "Basic !!!").status == 401
    assert get(server, "/metrics", "Bearer päss:word").status == 401


def test_either_way_opens_where_both_are_set_up(start: Start) -> None:
    server = start(auth={"token": TOKEN, "username": "u", "password": "p"})
    assert get(server, "/metrics", f"Bearer {TOKEN}").status == 200
    assert get(server, "/metrics", basic("u:p")).status == 200
    challenges = get(server, "/metrics").headers.getlist("www-authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]


def test_files_are_read_again_when_they_change(start: Start, tmp_path: Path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    token.write_text("first\n")
    password.write_text("one\n")
    auth = {"token_file": token, "username": "u", "password_file": password}
    server = start(auth=auth)
    assert get(server, "/metrics", "Bearer first").status == 200
    assert get(server, "/metrics", basic("u:one")).status == 200
    token.write_text("second\n")
    password.write_text("two\n")
    assert get(server, "/metrics", "Bearer second").status == 200
    assert get(server, "/metrics", basic("u:two")).status == 200
    assert get(server, "/metrics", "Bearer first").status == 401
    assert get(server, "/metrics", basic("u:one")).status == 401


def test_a_file_without_a_secret_stops_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for auth in ({"token_file": empty}, {"username": "u", "password_file": empty}):
        with pytest.raises(StartError, match=r"^exporters\.prometheus\.auth\.\w+_file: "):
            scrape_access(ScrapeAuthConfig.model_validate(auth), SystemClock())


def test_the_scrape_can_be_encrypted(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("server")
    server = start(auth={"token": TOKEN}, tls={"cert_file": issued.cert, "key_file": issued.key})
    with urllib3.HTTPSConnectionPool(
        "localhost", server.port, ca_certs=str(authority.cert), retries=False, timeout=20
    ) as pool:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert pool.urlopen("GET", "/metrics", headers=headers).status == 200
        assert pool.urlopen("GET", "/metrics").status == 401
