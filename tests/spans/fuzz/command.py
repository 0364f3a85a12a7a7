"""The fuzzer's command line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random

from spanmill.spans.decoder import Decoder
from spanmill.spans.installed import load_decoder
from spanmill.spans.reference import ReferenceDecoder
from spans.fuzz.exact_buffers import poison_ends
from spans.fuzz.last_request import LAST_REQUEST, LastRequest, finding_name
from spans.fuzz.seeds import generated_requests, recorded_requests
from spans.fuzz.session import ATTRIBUTES, GROUP_BY, Finding, Mutants, Session

RECORDING = "astronomy-oteltraces.zst"
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FINDINGS = Path("fuzz-findings")
PROGRESS = 100_000
"""After so many mutants a line says how far it is."""
COMMAND = "PYTHONPATH=tests python -m spans.fuzz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 with no finding, 1 with some, 2 where there is no compiled decoder."""
    options = _parsed(arguments)
    subject = _subject(options.reference)
    if subject is None:
        print("no compiled decoder here: python setup.py build_ext --inplace", file=sys.stderr)
        return 2
    session = Session(ReferenceDecoder(ATTRIBUTES), subject, _before_decode(options))
    if options.replay:
        return _replay(session, options.replay)
    random = Random(options.seed)
    requests = generated_requests(random)
    recording = Path(os.environ.get("SPANMILL_TEST_DATA", DATA)) / RECORDING
    if recording.exists():
        requests += recorded_requests(recording, random)
    else:
        print(f"{RECORDING} is not there: generated requests alone", file=sys.stderr)
    mutants = Mutants(requests, options.seed)
    print(f"{len(requests)} requests to mutate, seed {options.seed}", flush=True)
    tally = session.run(
        ((number, mutants.mutant(number)) for number in count(options.first)),
        _until(session, options.mutations, options.seconds, options.most_findings),
        lambda finding: _write(finding, options.findings, options.seed),
    )
    print(tally.line())
    print(f"{session.read_otherwise:,} went from the kernel to the reference")
    return 1 if tally.findings else 0


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--mutations", type=int, help="how many mutants (default: no limit)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    parser.add_argument("--first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--most-findings", type=int, default=10, help="then it ends")
    parser.add_argument("--findings", type=Path, default=FINDINGS, help="the folder they go to")
    parser.add_argument("--replay", type=Path, nargs="+", help="try these files, and nothing else")
    parser.add_argument(
        "--poison", action="store_true", help="under AddressSanitizer: see a byte too much read"
    )
    parser.add_argument(
        "--reference", action="store_true", help="compare the reference with itself: its speed"
    )
    return parser.parse_args(arguments)


def _subject(reference: bool) -> Callable[[], Decoder] | None:
    if reference:
        return lambda: ReferenceDecoder(ATTRIBUTES)
    if load_decoder(ATTRIBUTES, GROUP_BY).kind == "reference":
        return None
    return lambda: load_decoder(ATTRIBUTES, GROUP_BY)


def _before_decode(options: argparse.Namespace) -> Callable[[bytes], None]:
    """What is done with a request before it is given to the decoder."""
    if not options.poison:
        return lambda _: None
    keep = LastRequest(options.findings / LAST_REQUEST).keep
    poison = poison_ends()

    def before_decode(body: bytes) -> None:
        keep(body)
        poison(body)

    return before_decode


def _until(
    session: Session, mutations: int | None, seconds: float, most_findings: int
) -> Callable[[], bool]:
    tally = session.tally
    end = time.monotonic() + seconds

    def over() -> bool:
        if tally.mutants and tally.mutants % PROGRESS == 0:
            print(tally.line(), flush=True)
        if len(tally.findings) >= most_findings:
            return True
        return tally.mutants >= mutations if mutations is not None else time.monotonic() > end

    return over


def _write(finding: Finding, folder: Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / finding_name(finding.body)
    file.write_bytes(finding.body)
    print(f"\nfinding: mutant {finding.number} of seed {seed}, {len(finding.body)} bytes")
    print(f"  {finding.what[:2000]}")
    print(f"  {finding.body[:64].hex(' ')}{' …' if len(finding.body) > 64 else ''}")
    if finding.alone:
        print(f"  again: {COMMAND} --replay {file}")
    else:
        print("  seen only after the requests before it:")
        print(f"  again: {COMMAND} --seed {seed} --mutations {finding.number + 1}")


def _replay(session: Session, files: Sequence[Path]) -> int:
    found = 0
    for file in files:
        what = session.seen_alone(file.read_bytes())
        print(f"{file}: {what or 'no difference'}")
        found += what is not None
    return 1 if found else 0
