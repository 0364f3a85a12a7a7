"""`spanmill journal` on a directory that a process works in."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cli.journal.conftest import Shown
from exporters.otlp.peers import Answer, HttpPeer
from exporters.otlp.requests import names_in, request_of
from journal.outages import Site
from spanmill.cli.journal.otlp_json import to_json
from spanmill.cli.main import main
from spanmill.journal.log import Signal
from spanmill.spans.otlp_json import json_to_protobuf


def test_ls_shows_segments_destinations_and_dead_letters(shown: Shown) -> None:
    lines = {line.split()[0]: line.split() for line in shown("ls").splitlines() if line.strip()}
    first, last, records, spans, points, *_ = lines["0"]
    assert (first, last, records, spans, points) == ("0", "7", "8", "14", "0")
    text = shown("ls")
    assert "tempo  traces  2     0           10" in text
    assert "delivered=4" in text
    assert "answered 400: no" in text
    assert "checkpoints\n  none" in text


def test_ls_names_the_place_of_damage(site: Site, shown: Shown, tmp_path: Path) -> None:
    (segment,) = (tmp_path / "state" / "journal").glob("*.seg")
    content = segment.read_bytes()
    at = content.index(b"3-a")
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(b"?")
    assert "damaged" not in shown("ls")
    text = shown("ls", "--verify")
    damaged_at = int(text.partition("damaged at byte ")[2].split()[0])
    assert damaged_at < at < damaged_at + 400


def test_show_tells_what_is_in_a_record(shown: Shown) -> None:
    text = shown("show", "3")
    assert "position   3" in text
    assert "items      2" in text
    assert [line.split()[-1] for line in text.splitlines()[-2:]] == ["3-a", "3-b"]
    spans = json.loads(shown("show", "3", "--json"))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["name"] for span in spans] == ["3-a", "3-b"]


def test_show_tells_what_is_in_a_dead_letter(shown: Shown) -> None:
    text = shown("show", "--dead-letter", "0")
    assert "reason       answered 400: no" in text
    assert text.split()[-1] == "refused"
    assert "there is no dead letter 1" in shown("show", "--dead-letter", "1", exits=2)


def test_show_says_which_positions_there_are(shown: Shown) -> None:
    text = shown("show", "99", exits=2)
    assert text == "spanmill: no record can be read at position 99: the journal has 0 to 7\n"


def test_export_writes_the_lines_of_an_otlp_file(shown: Shown) -> None:
    lines = shown("export", "--from", "2", "--to-position", "4").splitlines()
    requests = [json_to_protobuf(line.encode()) for line in lines]
    assert [names_in(request) for request in requests] == [[f"{n}-a", f"{n}-b"] for n in (2, 3, 4)]


def test_export_writes_each_request_behind_its_length(shown: Shown, tmp_path: Path) -> None:
    shown("export", "--format", "proto", "--output", str(tmp_path / "out"))
    content, requests = (tmp_path / "out").read_bytes(), []
    while content:
        (length,) = struct.unpack_from(">I", content)
        requests.append(content[4 : 4 + length])
        content = content[4 + length :]
    assert requests == [request_of(f"{n}-a", f"{n}-b") for n in range(7)]
    assert "file exists" in shown("export", "--output", str(tmp_path / "out"), exits=2)


def test_export_chooses_by_time_and_by_signal(shown: Shown) -> None:
    # The clock of the test begins at 10^18 ns, which is 2001-09-09T01:46:40Z.
    lines = shown("export", "--since", "2001-09-09T01:48:00Z", "--until", "2001-09-09T01:50:00Z")
    names = [names_in(json_to_protobuf(line.encode()))[0] for line in lines.splitlines()]
    assert names == ["2-a", "3-a"]
    assert "exported 0 requests" in shown("export", "--signal", "metrics")


def test_replay_sends_records_and_dead_letters_as_they_were(
    shown: Shown, http_peer: HttpPeer
) -> None:
    to = f"http://127.0.0.1:{http_peer.port}"
    text = shown("replay", "--to", to, "--from", "5")
    assert "sent 4 spans in 2 requests, 0 rejected; the last: record 6" in text
    assert "sent 1 spans" in shown("replay", "--to", to, "--dead-letters")
    assert http_peer.taken == [
        *(request_of(f"{n}-a", f"{n}-b") for n in (5, 6)),
        request_of("refused"),
    ]


@pytest.mark.parametrize(
    "range_",
    [
        ("--from", "5", "--to-position", "2"),
        ("--since", "2001-09-09T01:50:00Z", "--until", "2001-09-09T01:48:00Z"),
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused(
    shown: Shown, tmp_path: Path, range_: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    assert "nothing is chosen" in shown("export", "--output", str(out), *range_, exits=2)
    assert not out.exists()
    nowhere = "127.0.0.1:9"
    assert "nothing is chosen" in shown("replay", "--to", nowhere, *range_, exits=2)


def test_replay_again_sends_bytes_that_no_run_before_sent(
    shown: Shown, http_peer: HttpPeer
) -> None:
    to = f"http://127.0.0.1:{http_peer.port}"
    for _ in range(2):
        shown("replay", "--to", to, "--from", "5", "--again")
    assert [names_in(body) for body in http_peer.taken] == [["5-a", "5-b"], ["6-a", "6-b"]] * 2
    assert len({*http_peer.taken, request_of("5-a", "5-b"), request_of("6-a", "6-b")}) == 6
    marks = [body[-13:] for body in http_peer.taken]
    assert marks[0] == marks[1] != marks[2] == marks[3]
    bare = [body[:-13] for body in http_peer.taken]
    assert bare == [request_of(f"{n}-a", f"{n}-b") for n in (5, 6)] * 2


def test_replay_says_that_spans_were_rejected(shown: Shown, http_peer: HttpPeer) -> None:
    http_peer.otherwise = lambda body: Answer(400, b"no")
    to = f"http://127.0.0.1:{http_peer.port}"
    assert "1 rejected" in shown("replay", "--to", to, "--dead-letters", exits=1)


def test_a_folder_that_is_none_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", "ls", "--state", str(tmp_path)]) == 2
    assert "is no state directory" in capsys.readouterr().err
    assert main(["journal", "ls", "--state", str(tmp_path / "none")]) == 2
    assert "no such file or directory" in capsys.readouterr().err


def test_json_has_ids_in_hexadecimal_and_enums_as_numbers() -> None:
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, parent_span_id=b"\x03" * 8, kind=2)
    )
    span.links.add(trace_id=b"\x04" * 16, span_id=b"\x05" * 8)
    span.attributes.add(key="traceId").value.bytes_value = b"\x06"
    written = to_json(request.SerializeToString(), Signal.TRACES)
    fields = json.loads(written)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert (fields["traceId"], fields["kind"]) == ("01" * 16, 2)
    assert fields["links"][0]["spanId"] == "05" * 8
    assert fields["attributes"] == [{"key": "traceId", "value": {"bytesValue": "Bg=="}}]
    assert json_to_protobuf(written) == request.SerializeToString(deterministic=True)
