from __future__ import annotations

import argparse
import json

import pytest

from spanmill.cli import config_docs
from spanmill.config.reference import reference_page
from spanmill.config.schema import file_schema


def run(page: str) -> int:
    parser = argparse.ArgumentParser()
    config_docs.configure(parser)
    return config_docs.run(parser.parse_args([page]))


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out) == file_schema()


def test_the_reference_is_printed_as_it_is_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reference") == 0
    assert capsys.readouterr().out == reference_page()


@pytest.mark.parametrize("arguments", [[], ["defaults"]])
def test_another_page_is_refused(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    config_docs.configure(parser)
    with pytest.raises(SystemExit) as refused:
        parser.parse_args(arguments)
    assert refused.value.code == 2
