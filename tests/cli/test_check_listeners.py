"""`spanmill check` tries out the files of what listens."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from certificate_files import Authority
from spanmill.cli import check


def run(folder: Path, text: str) -> int:
    file = folder / "spanmill.yaml"
    file.write_text(text)
    parser = argparse.ArgumentParser()
    check.configure(parser)
    return check.run(parser.parse_args([str(file)]))


def test_each_unusable_file_is_told_by_its_key_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path)
    good, other = authority.issue("good"), authority.issue("other")
    old = authority.issue("old", expired=True)
    (tmp_path / "two-words").write_text("geheim geheim\n")
    text = f"""\
receivers:
  otlp:
    auth: {{token_files: {{shop: {tmp_path}/two-words}}}}
    grpc: {{tls: {{cert_file: {good.cert}, key_file: {other.key}}}}}
    http: {{tls: {{cert_file: {old.cert}, key_file: {old.key}}}}}
exporters:
  prometheus:
    tls: {{cert_file: {good.cert}, key_file: {tmp_path}/missing}}
"""
    assert run(tmp_path, text) == check.EXIT_REFUSED
    told = sorted(capsys.readouterr().err.splitlines())
    file = tmp_path / "spanmill.yaml"
    assert told[0].startswith(f"{file}:3: receivers.otlp.auth.token_files.shop: line 1 of ")
    assert "geheim" not in told[0]
    assert told[1] == (
        f"{file}:4: receivers.otlp.grpc.tls.cert_file: can't use {good.cert} with key "
        f"{other.key}: key values mismatch"
    )
    assert told[2] == (
        f"{file}:5: receivers.otlp.http.tls.cert_file: can't use {old.cert}: "
        "certificate has expired"
    )
    assert told[3] == (
        f"{file}:8: exporters.prometheus.tls: can't read {tmp_path}/missing: "
        "No such file or directory"
    )
    assert len(told) == 4


def test_what_strangers_reach_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_AUTH_TOKEN", "geheim")
    assert run(tmp_path, "exporters: {prometheus: {endpoint: '0.0.0.0:9464'}}") == 0
    told = capsys.readouterr().out
    assert "  unprotected: exporters.prometheus.endpoint (0.0.0.0:9464) has no TLS\n" in told
    assert "geheim" not in told
