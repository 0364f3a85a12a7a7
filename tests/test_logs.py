"""The form of a log line."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from spanmill.logs import EventFormatter, OncePerMinute, configure_logging


def record(message: str = "ready", **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "spanmill.x", "levelname": "INFO", "msg": message, "created": 1.5, **fields}
    )
    return made


def test_logfmt_has_time_level_event_and_fields() -> None:
    line = EventFormatter("logfmt").format(record(port=4317))
    assert line == "ts=1970-01-01T00:00:01.500Z level=info msg=ready port=4317"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ('a"b', '"a\\"b"'),
        ("a=b", '"a=b"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("", '""'),
        ("é", "é"),
    ],
)
def test_logfmt_quotes_what_would_break_the_line(value: str, shown: str) -> None:
    assert EventFormatter("logfmt").format(record(field=value)).endswith(f" field={shown}")


def test_json_is_one_object_a_line_whatever_a_field_holds() -> None:
    line = EventFormatter("json").format(record(path=object, text="a\nb"))
    assert "\n" not in line
    assert json.loads(line)["text"] == "a\nb"


def test_an_exception_is_one_field_of_the_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        failed = record(exc_info=sys.exc_info())
    line = EventFormatter("logfmt").format(failed)
    assert "\n" not in line
    assert "ValueError: why" in line


def test_lines_of_other_libraries_begin_at_warning(capsys: pytest.CaptureFixture[str]) -> None:
    root, ours = logging.getLogger(), logging.getLogger("spanmill")
    before = root.handlers[:], root.level, ours.level
    try:
        configure_logging("info", "logfmt")
        logging.getLogger("urllib3").info("hidden")
        logging.getLogger("spanmill.pipeline").info("shown")
    finally:
        root.handlers[:], level, our_level = before
        root.setLevel(level)
        ours.setLevel(our_level)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("msg=")[2] for line in lines] == ["shown"]


def test_the_same_words_of_a_library_pass_once_a_minute() -> None:
    passes = OncePerMinute().filter
    out = "socket.accept() out of system resource"
    assert [bool(passes(record(out, created=at))) for at in (0.0, 0.5, 59.9, 60.0, 60.1)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert passes(record("something else", created=60.2))
    assert passes(record(out, created=-3600.0))  # the clock was set back


def test_words_that_never_come_again_take_no_memory() -> None:
    once = OncePerMinute()
    assert all(once.filter(record(f"line {number}")) for number in range(10_000))
    assert len(once._told) <= 100
