from __future__ import annotations

import argparse

import pytest

from spanmill.cli.demo import command
from spanmill.errors import StartError


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spanmill demo")
    command.configure(parser)
    return parser.parse_args(arguments)


def test_without_arguments_it_runs_until_it_is_ended() -> None:
    arguments = parsed()
    assert arguments.seconds is None
    assert arguments.plain is False


def test_a_time_and_the_plain_form_can_be_asked_for() -> None:
    arguments = parsed("--for", "2.5", "--plain")
    assert arguments.seconds == 2.5
    assert arguments.plain is True


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_no_time_is_refused_with_its_text(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(f"--for={text}")
    assert end.value.code == 2
    assert f"'{text}' is no number of seconds above 0" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "missing_packages", lambda: ["rich", "httpx"])
    with pytest.raises(StartError) as error:
        command.run(parsed())
    assert str(error.value) == (
        "the demo needs rich, httpx: pip install 'spanmill[demo]' spanmill-instrumentation"
    )
