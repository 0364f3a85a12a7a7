"""The least of the limits that the kernel tells of."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from spanmill.receivers.memory_limit import default_budget, memory_limit

MIB = 1 << 20


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: endless)


def written(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "104857600\n"},
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/memory.max": "104857600\n",
        },
        {"proc/self/cgroup": "0::/host/path\n", "sys/fs/cgroup/memory.max": "104857600\n"},
        {
            "proc/self/cgroup": "5:cpu,memory:/a\n4:cpuset:/\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "104857600\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    ],
    ids=["own cgroup", "cgroup above", "inside of a container", "version 1"],
)
def test_the_limit_of_a_cgroup_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    assert memory_limit(written(tmp_path, files)) == 100 * MIB


@pytest.mark.usefixtures("unlimited")
def test_without_any_limit_it_is_the_ram(tmp_path: Path) -> None:
    none = memory_limit(tmp_path)
    endless = written(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"})
    assert memory_limit(endless) == none > 0


def test_the_limit_of_the_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_DATA: 64 * MIB, resource.RLIMIT_AS: 96 * MIB}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], 1 << 40))
    assert memory_limit(tmp_path) == 64 * MIB


@pytest.mark.parametrize(("limit", "budget"), [(10 * MIB, 32), (600 * MIB, 100), (1 << 40, 4096)])
def test_the_budget_is_a_sixth_within_bounds(limit: int, budget: int) -> None:
    assert default_budget(limit) == budget * MIB
