"""Each check on figures that a test makes up: what it says, and how bad that is."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from spanmill.cli.doctor.book_checks import check_books
from spanmill.cli.doctor.clock_checks import check_clock, check_lateness
from spanmill.cli.doctor.destination_checks import check_destinations
from spanmill.cli.doctor.disk_checks import check_disk
from spanmill.cli.doctor.finding import Finding, Level, fail, ok
from spanmill.cli.doctor.journal_checks import check_journal, check_load
from spanmill.cli.doctor.process_checks import check_process
from spanmill.cli.doctor.samples import Samples
from spanmill.config.model import Config
from spanmill.config.state import StateConfig

NOW = 1_800_000_000.0

BALANCED = """\
spanmill_spans_received_total{outcome="accepted"} 10
spanmill_spans_received_total{outcome="invalid"} 3
spanmill_spans_received_total{outcome="duplicate"} 2
spanmill_receiver_refused_items_total{reason="invalid_trace_id"} 3
spanmill_spans_accepted_total{outcome="counted_own"} 7
spanmill_spans_accepted_total{outcome="counted_overflow"} 2
spanmill_spans_accepted_total{outcome="filtered"} 1
spanmill_export_spans_total{exporter="tempo",outcome="delivered"} 6
spanmill_export_queued_spans{exporter="tempo"} 4
spanmill_books_difference_spans{book="processing"} 0
spanmill_metric_points_received_total{outcome="accepted"} 0
"""


def samples(text: str) -> Samples:
    return Samples.parse(text.encode().splitlines())


def worst(findings: list[Finding]) -> Level:
    return max(finding.level for finding in findings)


def test_a_label_is_read_as_the_text_format_escapes_it() -> None:
    found = samples(r'spanmill_series{processor="a\"b\\c\nd",other="}"} 1e3')
    assert found.value("spanmill_series", processor='a"b\\c\nd', other="}") == 1000.0


def test_a_finding_is_one_line_whatever_names_are_in_it() -> None:
    line = str(fail("a\nb", "\x1b[2J", "c"))
    assert line == r"FAIL  a\nb: \x1b[2J: c"
    assert str(ok("a", "b")) == "OK    a: b"


def test_books_that_balance_are_well() -> None:
    findings = list(check_books(samples(BALANCED)))
    assert worst(findings) is Level.OK
    assert "10 accepted (3 invalid, 0 refused, 2 duplicate)" in str(findings[0])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('spanmill_spans_accepted_total{outcome="counted_own"} 1', "11 counted"),
        ('spanmill_export_queued_spans{exporter="tempo"} -1', "9 accounted for by tempo"),
        (
            'spanmill_export_spans_total{exporter="other",outcome="expired"} 1',
            "1 accounted for by other",
        ),
        ('spanmill_books_difference_spans{book="tempo"} 5', "5 missing by its own account"),
        ('spanmill_receiver_refused_items_total{reason="no_name"} 1', "4 by reason"),
    ],
)
def test_a_span_too_many_or_too_few_is_a_failure(line: str, told: str) -> None:
    findings = [f for f in check_books(samples(BALANCED + line)) if f.level is Level.FAIL]
    assert len(findings) == 1
    assert told in findings[0].text


def test_another_version_and_missing_kernels_are_told() -> None:
    text = """\
spanmill_build_info{version="1.0"} 1
spanmill_decoder_info{kind="reference"} 1
spanmill_kernel_info{kernel="table",loaded="false"} 1
spanmill_kernel_info{kernel="window",loaded="true"} 1
spanmill_series{processor="span_metrics"} 5
spanmill_series_limit{processor="span_metrics"} 5
spanmill_processor_errors_total{processor="own"} 2
"""
    found = {f.what: f for f in check_process(samples(text), "2.0")}
    assert {f.level for f in found.values()} == {Level.WARN}
    assert "1.0 runs, this command is of 2.0" in found["version"].text
    assert "not loaded: table" in found["kernels"].text
    assert "processor own" in found
    assert "explain-series" in found["series of span_metrics"].mend


def test_a_page_that_is_not_of_spanmill_is_a_failure() -> None:
    assert worst(list(check_process(samples("up 1"), "1"))) is Level.FAIL
    assert worst(list(check_books(samples("up 1")))) is Level.FAIL


@pytest.mark.parametrize(("seconds", "level"), [(2, Level.OK), (-2, Level.OK), (60, Level.WARN)])
def test_the_clocks_are_compared_by_the_date_of_the_answer(seconds: int, level: Level) -> None:
    (finding,) = check_clock(formatdate(NOW + seconds, usegmt=True), NOW)
    assert finding.level is level


def test_many_late_spans_are_told() -> None:
    text = """\
spanmill_span_lateness_seconds_bucket{le="60"} 90
spanmill_span_lateness_seconds_count 100
spanmill_window_late_services{processor="percentiles"} 1
"""
    assert [f.level for f in check_lateness(samples(text))] == [Level.WARN, Level.WARN]
    in_time = text.replace(" 90", " 100").replace(" 1\n", " 0\n")
    assert [f.level for f in check_lateness(samples(in_time))] == [Level.OK]


def destination(expired: int, delivered: int, retries: int = 0, queued: int = 5) -> Samples:
    return samples(f"""\
spanmill_export_spans_total{{exporter="a",outcome="expired"}} {expired}
spanmill_export_spans_total{{exporter="a",outcome="delivered"}} {delivered}
spanmill_export_queued_spans{{exporter="a"}} {queued}
spanmill_export_retries_total{{exporter="a",signal="traces"}} {retries}
""")


@pytest.mark.parametrize(
    ("before", "now", "level", "told"),
    [
        (destination(0, 1), destination(0, 2), Level.OK, "2 spans delivered, 5 wait"),
        (destination(1, 1), destination(1, 1), Level.WARN, "1 expired"),
        (destination(1, 1), destination(2, 1), Level.FAIL, "expire now"),
        (destination(0, 1), destination(0, 1, retries=1), Level.FAIL, "takes nothing"),
        (destination(0, 1), destination(0, 2, retries=1), Level.OK, "delivered"),
    ],
)
def test_a_destination_stands_as_its_outcomes_say(
    before: Samples, now: Samples, level: Level, told: str
) -> None:
    (finding,) = check_destinations(before, now, None)
    assert finding.level is level
    assert told in finding.text


def test_a_destination_that_nobody_listens_for_is_a_failure() -> None:
    config = Config.model_validate(
        {"exporters": {"otlp_traces": {"gone": {"endpoint": "http://127.0.0.1:1"}}}}
    )
    (finding,) = check_destinations(samples(""), samples(""), config)
    assert finding.level is Level.FAIL
    assert "exporters.otlp_traces.gone.endpoint" in finding.mend


def test_refusals_of_now_are_a_failure_and_old_ones_are_not() -> None:
    line = 'spanmill_receiver_requests_total{{outcome="refused"}} {}'
    before, now = samples(line.format(1)), samples(line.format(2))
    assert [f.level for f in check_load(before, now)] == [Level.FAIL]
    assert [f.level for f in check_load(now, now)] == [Level.OK]


def state(tmp_path: Path, **settings: object) -> StateConfig:
    return StateConfig.model_validate({"directory": str(tmp_path), **settings})


NOW = 1e9
JOURNAL = """\
spanmill_journal_bytes 1e6
spanmill_journal_oldest_seconds 60
spanmill_journal_refusing 0
spanmill_journal_damaged_records_total 0
spanmill_checkpoint_age_seconds 30
process_start_time_seconds 999990000
"""


def journal(change: str, to: str) -> dict[str, Level]:
    assert change in JOURNAL
    text = samples(JOURNAL.replace(change, to))
    return {f.what: f.level for f in check_journal(text, StateConfig(), NOW)}


def test_a_journal_that_goes_on_is_well() -> None:
    assert journal("60", "60") == {"journal": Level.OK, "checkpoint": Level.OK}


def test_a_journal_that_takes_nothing_is_a_failure() -> None:
    assert journal("refusing 0", "refusing 1")["journal"] is Level.FAIL


def test_a_record_that_waits_for_long_and_a_journal_half_full_are_told() -> None:
    assert journal("seconds 60", "seconds 100000")["journal"] is Level.WARN
    assert journal("bytes 1e6", "bytes 15e9")["journal"] is Level.WARN


def test_damage_is_told() -> None:
    assert journal("total 0", "total 3")["damage"] is Level.WARN


def test_a_checkpoint_that_is_old_is_told() -> None:
    assert journal("seconds 30", "seconds 3000")["checkpoint"] is Level.WARN


def test_a_checkpoint_that_is_old_is_told_also_where_the_start_of_the_process_is_not_known() -> (
    None
):
    old = "age_seconds 30\nprocess_start_time_seconds 999990000", "age_seconds 3000"
    assert journal(*old)["checkpoint"] is Level.WARN


@pytest.mark.parametrize(("started", "level"), [(NOW - 30, Level.OK), (NOW - 400, Level.WARN)])
def test_after_a_start_an_old_checkpoint_is_told_once_a_newer_one_should_be_there(
    started: float, level: Level
) -> None:
    old = f"age_seconds 3000\nprocess_start_time_seconds {started}"
    found = journal("age_seconds 30\nprocess_start_time_seconds 999990000", old)
    assert found["checkpoint"] is level


def test_records_without_any_checkpoint_are_told() -> None:
    assert journal("spanmill_checkpoint_age_seconds 30\n", "")["checkpoint"] is Level.WARN


def test_an_empty_journal_needs_no_checkpoint() -> None:
    empty = samples("spanmill_journal_bytes 1e6\nspanmill_journal_oldest_seconds 0\n")
    assert [f.what for f in check_journal(empty, StateConfig(), NOW)] == ["journal"]


def test_requests_that_fill_the_memory_for_them_are_told() -> None:
    text = "spanmill_receiver_memory_budget_bytes 100\nspanmill_receiver_in_flight_bytes {}"
    full, half = samples(text.format(95)), samples(text.format(50))
    assert [f.level for f in check_load(full, full)] == [Level.OK, Level.WARN]
    assert [f.level for f in check_load(half, half)] == [Level.OK]


def disk(tmp_path: Path, **settings: object) -> Level:
    (finding,) = check_disk(samples(JOURNAL), state(tmp_path, **settings), tmp_path)
    return finding.level


def test_a_journal_that_may_grow_beyond_the_disk_is_told(tmp_path: Path) -> None:
    assert disk(tmp_path, max_bytes="4MiB", segment_bytes="1MiB") is Level.OK
    assert disk(tmp_path, max_bytes="900000GiB") is Level.WARN
    assert disk(tmp_path, max_bytes="900000GiB", segment_bytes="200000GiB") is Level.FAIL


def test_a_directory_that_is_not_here_is_no_failure_of_the_process(tmp_path: Path) -> None:
    assert disk(tmp_path / "elsewhere") is Level.WARN
    assert disk(tmp_path, durability="memory") is Level.OK
