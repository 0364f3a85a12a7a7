"""Log lines: one event each, as logfmt or JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}

_MINUTE: Final = 60.0
_WORDS: Final = 100
_MOST_WORDS: Final = 100


class EventFormatter(logging.Formatter):
    """Formats a record with the fields that it was given as `extra`."""

    def __init__(self, form: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, event, then the event's own fields."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        fields.update((k, v) for k, v in record.__dict__.items() if k not in _STANDARD)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(fields, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in fields.items())


class OncePerMinute(logging.Filter):
    """Lets a line of a library pass once a minute: out of descriptors, some tell it without end."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether nothing was said in these words for a minute, by the records' own times."""
        words = str(record.msg)[:_WORDS]
        told = self._told.get(words)
        if told is not None and 0 <= record.created - told < _MINUTE:
            return False
        if len(self._told) >= _MOST_WORDS:
            self._told.clear()
        self._told[words] = record.created
        return True


def _logfmt(value: object) -> str:
    text = str(value)
    if text and not any(c in ' "=\\' or not c.isprintable() for c in text):
        return text
    return json.dumps(text, ensure_ascii=False)


def configure_logging(
    level: str, form: Literal["logfmt", "json"], stream: TextIO | None = None
) -> None:
    """Send every log line of the process to `stream` (standard error by default)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EventFormatter(form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("asyncio").filters[:] = [OncePerMinute()]
    logging.getLogger("spanmill").setLevel(level.upper())
