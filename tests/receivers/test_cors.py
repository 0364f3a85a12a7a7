"""What a browser asks before and after a page sends OTLP, by the Fetch standard's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
import urllib3

from receivers.receiver_pipeline import PipelineFactory
from receivers.sent_signals import TRACES
from spanmill.clock import SystemClock
from spanmill.config.auth import OtlpAuthConfig
from spanmill.config.cors import CorsConfig
from spanmill.receivers.auth import clients_of
from spanmill.receivers.http import HttpReceiver

ORIGIN = "https://shop.example.com"
TOKEN = "a-long-secret-token"
Start = Callable[..., "Browser"]


class Browser:
    """A page of one origin: it may read an answer only where the standard lets it."""

    def __init__(self, port: int, origin: str) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.origin = origin

    def preflight(
        self, headers: str = "authorization,content-type", path: str = TRACES.path
    ) -> urllib3.BaseHTTPResponse:
        return self._request(
            "OPTIONS",
            path,
            {
                "Origin": self.origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": headers,
            },
        )

    def post(self, headers: Mapping[str, str], path: str = TRACES.path) -> urllib3.BaseHTTPResponse:
        return self._request("POST", path, {"Origin": self.origin, **headers}, TRACES.good(1))

    def may_send(self, headers: str = "authorization,content-type") -> bool:
        """Fetch 4.8, CORS-preflight fetch: status, origin, method and header names."""
        answer = self.preflight(headers)
        names = answer.headers.get("access-control-allow-headers", "").replace(" ", "").split(",")
        return (
            200 <= answer.status < 300
            and self.may_read(answer)
            and "POST" in answer.headers.get("access-control-allow-methods", "")
            and set(headers.lower().split(",")) <= set(names)
        )

    def may_read(self, answer: urllib3.BaseHTTPResponse) -> bool:
        """Fetch 4.10, CORS check, for a request without credentials."""
        return answer.headers.get("access-control-allow-origin") in ("*", self.origin)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> urllib3.BaseHTTPResponse:
        return urllib3.request(
            method, self._url + path, headers=headers, body=body, retries=False, timeout=20
        )


@pytest.fixture
def open_page(start_pipeline: PipelineFactory) -> Iterator[Start]:
    receivers: list[HttpReceiver] = []

    def start(origin: str = ORIGIN, *, auth: bool = False, **cors: object) -> Browser:
        tokens = OtlpAuthConfig.model_validate({"tokens": {"page": TOKEN}}) if auth else None
        config = CorsConfig.model_validate({"allowed_origins": [ORIGIN], **cors}) if cors else None
        receiver = HttpReceiver(
            start_pipeline().intakes,
            "127.0.0.1",
            0,
            1 << 20,
            clients=clients_of(tokens, SystemClock()),
            cors=config,
        )
        receiver.bind()
        receiver.start()
        receivers.append(receiver)
        return Browser(receiver.port, origin)

    yield start
    for receiver in receivers:
        receiver.stop(5)


PROTOBUF = {"Content-Type": "application/x-protobuf"}
ON = {"max_age": 60.0}


def test_promise_24_it_is_off_by_default(open_page: Start) -> None:
    page = open_page()
    assert page.preflight().status == 405
    assert not page.may_read(page.preflight())
    assert not page.may_read(page.post(PROTOBUF))


def test_promise_24_a_page_on_the_list_may_send_and_read_the_answer(open_page: Start) -> None:
    page = open_page(**ON)
    assert page.may_send("authorization,content-encoding,content-type")
    answer = page.post(PROTOBUF)
    assert answer.status == 200
    assert page.may_read(answer)
    assert answer.headers["access-control-expose-headers"] == "retry-after"
    assert page.preflight().headers["access-control-max-age"] == "60"


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ("https://*.example.com", "https://shop.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://.example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "http://shop.example.com", False),
        ("https://*.example.com", "https://shop.example.com:8443", False),
        ("https://*.example.com", "https://shop.example.com.evil.org", False),
        ("https://*.example.com", "https://evil.org/.example.com", False),
        ("https://*.example.com", "https://evil.org:80@x.example.com", False),
        ("https://*.example.com:8443", "https://shop.example.com:8443", True),
        ("HTTPS://Shop.Example.com:443", "https://shop.example.com", True),
        ("http://localhost:3000", "http://localhost:3000", True),
        ("http://localhost:3000", "http://localhost:3001", False),
        ("https://shop.example.com", "null", False),
        ("*", "https://anyone.org", True),
    ],
)
def test_promise_24_the_list_is_exact(
    open_page: Start, allowed: str, origin: str, may: bool
) -> None:
    page = open_page(origin, allowed_origins=[allowed])
    assert page.may_send() is may
    assert page.may_read(page.post(PROTOBUF)) is may


def test_promise_24_a_preflight_needs_no_token_and_errors_can_be_read(open_page: Start) -> None:
    page = open_page(auth=True, **ON)
    assert page.may_send()
    for answer, status in (
        (page.post(PROTOBUF), 401),
        (page.post({**PROTOBUF, "Authorization": f"Bearer {TOKEN}"}), 200),
        (page.post({"Content-Type": "text/plain", "Authorization": f"Bearer {TOKEN}"}), 415),
        (page.post(PROTOBUF, path="/nowhere"), 404),
    ):
        assert answer.status == status
        assert page.may_read(answer)


def test_other_headers_are_allowed_by_name(open_page: Start) -> None:
    assert not open_page(**ON).may_send("x-tenant")
    assert open_page(allowed_headers=["X-Tenant"]).may_send("content-type,x-tenant")


def test_promise_24_credentials_are_allowed_only_when_asked_for(open_page: Start) -> None:
    assert "access-control-allow-credentials" not in open_page(**ON).preflight().headers
    page = open_page(allow_credentials=True)
    assert page.preflight().headers["access-control-allow-credentials"] == "true"
    assert page.post(PROTOBUF).headers["access-control-allow-credentials"] == "true"


def test_caches_are_told_that_answers_differ_by_origin(open_page: Start) -> None:
    page = open_page("https://stranger.org", **ON)
    assert page.preflight().headers["vary"] == "origin"
    assert page.post(PROTOBUF).headers["vary"] == "origin"


def test_options_without_a_preflight_is_a_wrong_method(open_page: Start) -> None:
    page = open_page(**ON)
    assert page._request("OPTIONS", TRACES.path, {"Origin": ORIGIN}).status == 405


@pytest.mark.parametrize(
    "origin", ["", "example.com", "https://example.com/", "https://a.*.com", "https://*", "null"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        CorsConfig.model_validate({"allowed_origins": [origin]})


def test_any_origin_does_not_go_with_credentials() -> None:
    with pytest.raises(ValueError, match="goes with a list of origins"):
        CorsConfig.model_validate({"allowed_origins": ["*"], "allow_credentials": True})
