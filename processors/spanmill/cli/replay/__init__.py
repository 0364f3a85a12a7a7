"""Recorded spans, sent as if they happened now."""

from spanmill.cli.replay.command import configure, run

__all__ = ["configure", "run"]
