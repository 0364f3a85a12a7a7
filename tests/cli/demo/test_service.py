from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from spanmill.cli.demo import children, processes
from spanmill.cli.demo.ports import Endpoints, listen, port_of
from spanmill.cli.demo.service import FAIL, RECOVER
from spanmill.cli.demo.shop import SERVICES
from spanmill.clock import SystemClock

DEADLINE = 60.0
PAYMENT = next(service for service in SERVICES if service.name == "payment")
NOWHERE = "http://127.0.0.1:1"


def test_a_service_fails_when_it_is_told_so_and_recovers_when_told_that(
    tmp_path: Path, eventually: Callable[[Callable[[], object], str], None]
) -> None:
    with listen() as listener:
        url = f"http://127.0.0.1:{port_of(listener)}"
        endpoints = Endpoints(grpc=NOWHERE, http=NOWHERE, scrape=NOWHERE, ready=NOWHERE)
        child = processes.start_service(PAYMENT, listener, {}, endpoints, tmp_path)
    statuses: list[int] = []

    def charge() -> int:
        # A request waits in the socket until the service is up.
        response = httpx.post(f"{url}/charges", timeout=DEADLINE, trust_env=False)
        statuses.append(response.status_code)
        return response.status_code

    try:
        eventually(lambda: charge() == 201, "a charge goes through")
        child.tell(FAIL)
        eventually(lambda: charge() == 503, "a charge fails")
        child.tell(RECOVER)
        # Ten in a row come by chance once in a hundred tries of a payment that still fails.
        eventually(lambda: charge() and statuses[-10:] == [201] * 10, "charges go through again")
    finally:
        killed = children.stop([child], DEADLINE, SystemClock())
    assert killed == []
    assert child.process.returncode == 0, child.obituary()
    assert "[tracing] OpenTelemetry SDK started" in child.log.read_text()
