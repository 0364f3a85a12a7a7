"""The doctor beside a processor that wants tokens and speaks TLS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certificate_files import Authority
from faults.process import ProcessUnderTest
from spanmill.cli.main import main
from spanmill.clock import SystemClock
from spanmill.config.load import load_config
from spanmill.pipeline import Pipeline

SECRETS = {"scrape": "s3cret-of-the-scrape", "shop": "s3cret-of-the-shop"}


def guarded(folder: Path, *, mutual: bool) -> dict[str, object]:
    """Tokens on every door, and one certificate behind all of them."""
    authority = Authority(folder)
    issued = authority.issue("server")
    tls: dict[str, str] = {"cert_file": str(issued.cert), "key_file": str(issued.key)}
    if mutual:
        tls["client_ca_file"] = str(authority.cert)
    return {"tls": tls}


@pytest.fixture(params=[False, True], ids=["one-sided", "mutual"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tls = guarded(tmp_path, mutual=request.param)
    # Only its ports are wanted: the harness knows nothing of TLS.
    ports = ProcessUnderTest(tmp_path, {"state": {"durability": "memory"}}).ports

    def at(port: int) -> dict[str, object]:
        return {"endpoint": f"127.0.0.1:{port}", **tls}

    file = tmp_path / "spanmill.yaml"
    otlp = {
        "grpc": at(ports.grpc),
        "http": at(ports.http),
        "auth": {"tokens": {"shop": SECRETS["shop"]}},
    }
    scrape = {**at(ports.scrape), "auth": {"token": SECRETS["scrape"]}}
    file.write_text(
        json.dumps(
            {
                "receivers": {"otlp": otlp},
                "exporters": {"prometheus": scrape},
                "state": {"durability": "memory"},
            }
        )
    )
    return file


def test_tokens_and_certificates_are_those_of_the_configuration(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    pipeline = Pipeline(load_config(config, {}).config, "0", SystemClock())
    pipeline.start()
    try:
        main(["doctor", "--config", str(config), "--seconds", "0"])
    finally:
        pipeline.stop()
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == []
    for door in ("gRPC", "HTTP"):
        (taken,) = [line for line in lines if line[6:].startswith(f"OTLP over {door}")]
        assert taken.startswith("OK ")
        assert taken.endswith("takes requests")
        # Two days are left: the doctor warns.
        (lasting,) = [line for line in lines if f"certificate of OTLP over {door}" in line]
        assert lasting.startswith("WARN")
    assert not any(secret in out for secret in SECRETS.values())
