"""Classes come out of files and entry points; what is wrong is said with file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spanmill.config.processors import ProcessorConfig
from spanmill.errors import StartError
from spanmill.processors.loading import GROUP
from spanmill.processors.own import build_own_processor
from spanmill.series.registry import Registry
from spanmill.testing import ManualClock, Span, batch_of

GOOD = """\
from spanmill.processors import Processor, service_names

class Mine(Processor):
    def __init__(self, metrics, limit=1, *, word="x"):
        self.limit = limit
        self.requests = metrics.counter("mine_total", "Mine.", ("service",))

    def observe(self, batch):
        self.requests.add(batch, [service_names(batch)])
"""

Load = Callable[..., str]


@pytest.fixture
def registry() -> Registry:
    return Registry(ManualClock())


@pytest.fixture
def error(tmp_path: Path) -> Load:
    """The sentence that a file gives, without its folder."""

    def load(
        text: str,
        class_name: str | None = None,
        registry: Registry | None = None,
        **settings: object,
    ) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text, encoding="utf-8")
        config = ProcessorConfig(name="mine", file=file, class_name=class_name, settings=settings)
        with pytest.raises(StartError) as refused:
            build_own_processor(config, registry or Registry(ManualClock()))
        said = str(refused.value).replace(f"{tmp_path}/", "")
        assert "\n" not in said
        return said

    return load


def test_the_processor_of_a_file_runs_with_its_settings(tmp_path: Path, registry: Registry) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD, encoding="utf-8")
    config = ProcessorConfig(name="mine", file=file, settings={"limit": 5})
    hosted = build_own_processor(config, registry)
    hosted.observe(batch_of([Span()]))
    assert hosted.processor.limit == 5  # type: ignore[attr-defined]  # its own attribute
    assert [family.family.name for family in registry.snapshot()] == ["mine_total"]


def test_a_class_is_chosen_by_name(error: Load) -> None:
    two = GOOD + GOOD.replace("Mine(", "Yours(")
    assert error(two) == "mine.py has several processors (Mine, Yours): say which by class_name"
    assert error(two, "Miner") == "mine.py has no class 'Miner'; did you mean 'Mine'?"
    assert error("x = 1") == "mine.py has no processor: a class with a method observe(self, batch)"
    assert error("x = 1", "Mine") == "mine.py has no class 'Mine'; there is none"


def test_faults_of_a_file_are_told_with_their_line(error: Load) -> None:
    assert error("\nimport numpyy\n") == (
        "mine.py:2: ModuleNotFoundError: No module named 'numpyy'"
    )
    assert error("class Mine\n") == "mine.py:1: SyntaxError: expected ':'"
    assert error("def f():\n    1 / 0\n\nf()\n") == "mine.py:2: ZeroDivisionError: division by zero"
    assert error("import sys\nsys.exit(3)\n") == "mine.py:2: SystemExit: 3"


def test_faults_of_a_constructor_are_told_with_their_line(error: Load) -> None:
    assert error(GOOD.replace("self.limit = limit", "self.limit = limit / 0")) == (
        "mine.py:5: ZeroDivisionError: division by zero"
    )
    assert error(GOOD.replace('"mine_total"', '"mine"')) == (
        "mine.py:6: mine should be called mine_total: a counter's name ends in _total"
    )


def test_a_metric_that_is_there_is_a_conflict_with_file_and_line(
    error: Load, registry: Registry
) -> None:
    registry.counter("mine_total", "Not theirs.")
    assert error(GOOD, registry=registry).startswith(
        "mine.py:6: the metric mine_total can't be shown beside"
    )


def test_settings_must_fit_the_constructor(error: Load) -> None:
    assert error(GOOD, wrod="y") == "mine.py: Mine takes no setting 'wrod'; did you mean 'word'?"
    assert error(GOOD, zzz=1) == "mine.py: Mine takes no setting 'zzz'; it takes limit, word"
    assert error(GOOD.replace("limit=1", "limit")) == "mine.py: Mine needs the setting 'limit'"
    no_metrics = GOOD.replace('self, metrics, limit=1, *, word="x"', "self")
    assert error(no_metrics) == (
        "mine.py: Mine must take the metrics first: def __init__(self, metrics, …)"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('    attributes = ("tenant.id")\n', "for one attribute write ('tenant.id',)"),
        ("    attributes = [1]\n", "must have a tuple of attribute keys"),
        ("    tick = 3\n", "has no method tick(self, now_ns): write one, or derive from"),
        ("    def tick(self): ...\n", "has a method tick(), which must take (now_ns)"),
    ],
)
def test_what_is_no_processor_is_told_what_it_lacks(error: Load, line: str, said: str) -> None:
    assert said in error(GOOD.replace("    def __init__", f"{line}    def __init__"))


def test_one_without_the_base_class_is_told_what_it_lacks(error: Load) -> None:
    alone = GOOD.replace("(Processor)", "")
    assert "write attributes = () for none" in error(alone)
    assert "has no method tick" in error(alone.replace("Mine:", "Mine:\n    attributes = ()"))


def test_a_file_that_is_not_there_is_told(registry: Registry) -> None:
    for file, said in (("/nowhere/mine.py", "doesn't exist"), ("/", "is no file")):
        config = ProcessorConfig(name="mine", file=Path(file))
        with pytest.raises(StartError, match=said):
            build_own_processor(config, registry)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which packages are as good as installed."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: theirs\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\ntenants = theirs_good:Mine\nbroken = theirs_broken:Mine\n"
        "number = theirs_good:GROUP\n",
        encoding="utf-8",
    )
    (tmp_path / "theirs_good.py").write_text(f"{GOOD}\nGROUP = 3\n", encoding="utf-8")
    (tmp_path / "theirs_broken.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_an_installed_processor_runs_where_it_is_named(registry: Registry) -> None:
    hosted = build_own_processor(ProcessorConfig(name="mine", entry_point="tenants"), registry)
    hosted.observe(batch_of([Span()]))
    assert [family.family.name for family in registry.snapshot()] == ["mine_total"]
    assert "theirs_broken" not in sys.modules


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("entry_point", "said"),
    [
        ("tenant", r"no installed package offers the processor 'tenant' .*mean 'tenants'\?"),
        ("zzz", "there are broken, number, tenants"),
        ("broken", r"the entry point broken \(theirs_broken:Mine\) can't be imported: .*:1: Zero"),
        ("number", r"\(theirs_good:GROUP\) is no class"),
    ],
)
def test_an_entry_point_that_can_t_be_used_is_told(
    registry: Registry, entry_point: str, said: str
) -> None:
    with pytest.raises(StartError, match=said):
        build_own_processor(ProcessorConfig(name="mine", entry_point=entry_point), registry)
