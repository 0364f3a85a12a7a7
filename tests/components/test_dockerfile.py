"""The Dockerfile, as far as it can be checked without Docker."""

from __future__ import annotations

import re

from components.shipped import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def test_it_runs_nothing_but_the_script_that_ci_runs() -> None:
    assert re.findall(r"^RUN (.*)$", DOCKERFILE, re.MULTILINE) == [
        "sh /src/.ci/install-image /opt/spanmill"
    ]
    assert ".ci/install-image" in (PROJECT / ".ci" / "run").read_text()


def test_what_the_script_copies_is_sent_to_docker() -> None:
    script = (PROJECT / ".ci" / "install-image").read_text()
    copied = set(re.findall(r'"\$root/([^"]+)"', script))
    sent = set(re.findall(r"^!(.+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE))
    assert copied
    assert copied <= sent
