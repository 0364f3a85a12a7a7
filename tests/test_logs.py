"""The form of a log line."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from spanmill.logs import EventFormatter, configure_logging


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
