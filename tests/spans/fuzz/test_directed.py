"""Both decoders agree about requests that were written on purpose, and about past findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from spanmill.spans.installed import load_decoder
from spanmill.spans.reference import ReferenceDecoder
from spans.fuzz.directed import DIRECTED
from spans.fuzz.session import ATTRIBUTES, GROUP_BY, Session

FINDINGS = Path(__file__).with_name("corpus")


@pytest.fixture
def session() -> Session:
    if load_decoder(ATTRIBUTES).kind == "reference":
        pytest.skip("no compiled decoder here")
    return Session(ReferenceDecoder(ATTRIBUTES), lambda: load_decoder(ATTRIBUTES, GROUP_BY))


def findings_of(session: Session, requests: Iterable[bytes]) -> list[tuple[str, str]]:
    tally = session.run(enumerate(requests), until=lambda: len(session.tally.findings) > 5)
    return [(finding.body.hex(), finding.what) for finding in tally.findings]


@pytest.mark.parametrize("requests", DIRECTED.values(), ids=DIRECTED)
def test_decoders_agree_about(session: Session, requests: Callable[[], Iterator[bytes]]) -> None:
    assert findings_of(session, requests()) == []


def test_decoders_agree_about_what_was_found_before(session: Session) -> None:
    files = sorted(FINDINGS.glob("*.bin"))
    assert files
    assert findings_of(session, (file.read_bytes() for file in files)) == []
