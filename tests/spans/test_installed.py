"""Which decoder runs."""

from __future__ import annotations

from types import ModuleType

import pytest

from spanmill.cli.main import main
from spanmill.kernels import SWITCH, load_kernel
from spanmill.spans import installed
from spanmill.spans.compiled import KERNELS
from spanmill.spans.installed import load_decoder
from spans.both_decoders import compiled_decoder


def test_the_kernels_are_used_where_they_are_built() -> None:
    compiled_decoder(())
    assert load_decoder(()).kind == "compiled"


def test_the_reference_runs_where_the_kernels_are_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert load_decoder(("k",), ("k",)).kind == "reference"


@pytest.mark.parametrize("missing", KERNELS)
def test_the_reference_runs_where_one_of_the_kernels_can_not_be_used(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> ModuleType | None:
        return None if name == missing else load_kernel(name)

    monkeypatch.setattr(installed, "load_kernel", load)
    assert load_decoder(()).kind == "reference"


def test_the_version_says_which_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert f"{load_decoder(()).kind} decoder" in capsys.readouterr().out
