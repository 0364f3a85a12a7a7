"""Which kernels are used, and what is said of those that are not."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import spanmill
from running_processor import RunningProcessor, Samples
from spanmill import kernels
from spanmill.cli.main import main
from spanmill.errors import ConfigError
from spanmill.kernels import ALL_KERNELS, SWITCH, load_kernel, missing_kernels, short_name

PACKAGE = Path(spanmill.__path__[0])
TABLE = "spanmill.series._table"


@pytest.fixture
def without_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the build of one kernel, and of no other, had failed."""

    def find_spec(name: str) -> object:
        return None if name == TABLE else importlib.util.find_spec(name)

    if missing_kernels():
        pytest.skip("not all kernels are built: python setup.py build_ext --inplace")
    monkeypatch.setattr(kernels, "find_spec", find_spec)
    kernels._load.cache_clear()
    yield
    kernels._load.cache_clear()


def test_every_kernel_that_has_a_source_is_known() -> None:
    sources = [source.relative_to(PACKAGE) for source in PACKAGE.glob("**/_[a-z]*.py")]
    names = {".".join(("spanmill", *source.with_suffix("").parts)) for source in sources}
    assert names == set(ALL_KERNELS)
    assert list(ALL_KERNELS) == sorted(ALL_KERNELS)


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF\x02\x01\x01" + bytes(57)])
def test_a_kernel_that_can_not_be_loaded_is_told_once_and_not_used(
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    package = f"broken{len(content)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "_kernel.py").write_text('SOURCE_SHA256: str = ""\n')
    (tmp_path / package / f"_kernel{EXTENSION_SUFFIXES[0]}").write_bytes(content)
    assert load_kernel(f"{package}._kernel") is None
    assert load_kernel(f"{package}._kernel") is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert vars(record)["kernel"] == f"{package}._kernel"
    assert "_kernel" in vars(record)["reason"]


@pytest.mark.parametrize("value", ["Off", "0", "false", "no", "ON", " off"])
def test_a_switch_that_is_neither_on_nor_off_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SWITCH, value)
    with pytest.raises(ConfigError, match="neither on nor off"):
        load_kernel(TABLE)
    for arguments in (["run"], ["--version"], ["config", "reference"]):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{SWITCH}: {value!r} is neither on nor off")


@pytest.mark.parametrize("value", ["on", ""])
def test_on_and_nothing_are_the_same_as_unset(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    unset = missing_kernels()
    monkeypatch.setenv(SWITCH, value)
    assert missing_kernels() == unset


def version_line(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["--version"])
    return capsys.readouterr().out


def test_the_version_names_a_kernel_that_is_missing(
    without_table: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "(compiled decoder, without kernels: series._table; Python" in version_line(capsys)


def test_the_version_says_that_the_kernels_are_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert "(reference decoder, without any kernel; Python" in version_line(capsys)


@pytest.fixture
def samples(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], Samples]]:
    """Start a processor and scrape it."""
    with contextlib.ExitStack() as processors:

        def start_and_scrape() -> Samples:
            caplog.set_level(logging.INFO)
            processor = RunningProcessor({})
            processors.callback(processor.close)
            return processor.scrape()

        yield start_and_scrape


def loaded_kernels(samples: Samples) -> dict[str, str]:
    return {
        dict(labels)["kernel"]: dict(labels)["loaded"]
        for (name, labels), value in samples.items()
        if name == "spanmill_kernel_info" and value == 1
    }


def ready_line(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = [record for record in caplog.records if record.message == "ready"]
    kernels_shown = vars(record)["kernels"]
    assert isinstance(kernels_shown, str)
    return kernels_shown


def test_log_and_metrics_name_a_kernel_that_is_missing(
    without_table: None, samples: Callable[[], Samples], caplog: pytest.LogCaptureFixture
) -> None:
    shown = loaded_kernels(samples())
    assert shown == {short_name(name): "false" if name == TABLE else "true" for name in ALL_KERNELS}
    assert ready_line(caplog) == "without:series._table"


def test_log_and_metrics_say_that_the_kernels_are_off(
    samples: Callable[[], Samples],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert set(loaded_kernels(samples()).values()) == {"false"}
    assert ready_line(caplog) == "none"


def test_log_and_metrics_say_that_every_kernel_runs(
    samples: Callable[[], Samples], caplog: pytest.LogCaptureFixture
) -> None:
    if missing_kernels():
        pytest.skip("not all kernels are built: python setup.py build_ext --inplace")
    assert set(loaded_kernels(samples()).values()) == {"true"}
    assert ready_line(caplog) == "all"
