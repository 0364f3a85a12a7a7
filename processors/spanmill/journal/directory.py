"""The journal's directory: one process has it, and it says which format it is in."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmill.errors import StartError
from spanmill.journal.files import FileSystem
from spanmill.journal.segment_format import FORMAT

JOURNAL_ID_BYTES: Final = 16
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Opened:
    """A directory that this process has; `lock` is to be closed at the end."""

    journal_id: bytes
    lock: int


def open_directory(files: FileSystem, directory: Path, fresh_id: bytes, version: str) -> Opened:
    """Take hold of a directory, and make it where there is none.

    Raises StartError, one sentence that says how to go on.
    """
    try:
        _make_folders(files, directory)
        lock = files.open(directory / "lock", create=True)
    except OSError as error:
        raise unusable(directory, error) from error
    try:
        _lock(files, directory, lock)
        return Opened(_read_or_write_format(files, directory, fresh_id, version), lock)
    except OSError as error:
        files.close(lock)
        raise unusable(directory, error) from error
    except StartError:
        files.close(lock)
        raise


def unusable(directory: Path, error: OSError) -> StartError:
    """Why a directory can't be used, and what to do, in one sentence."""
    if error.errno in (errno.EACCES, errno.EPERM):
        what = f"give the user {os.geteuid()} the right to write there"
    elif error.errno == errno.EROFS:
        what = "it is on a file system that is mounted read-only; choose another"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "make room on that disk, or choose another"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        what = "there is a file in its place; choose another"
    else:
        what = "see to the disk, or choose another"
    reason = (error.strerror or str(error)).lower()
    where = f" at {error.filename}" if error.filename else ""
    return StartError(f"state.directory {directory} can't be used ({reason}{where}): {what}")


def _make_folders(files: FileSystem, directory: Path) -> None:
    for folder in (directory, directory / "journal", directory / "cursors"):
        files.make_folder(folder)
    files.sync_folder(directory)
    files.sync_folder(directory.parent)


def _lock(files: FileSystem, directory: Path, lock: int) -> None:
    try:
        files.lock(lock)
    except BlockingIOError:
        holder = files.read(lock, _LONGEST, 0).decode("ascii", "replace").strip()
        process = f"process {holder}" if holder.isdigit() else "another process"
        raise StartError(
            f"state.directory {directory} is held by {process}: "
            "stop that one, or give this one a directory of its own"
        ) from None
    files.truncate(lock, 0)
    files.write(lock, [f"{os.getpid()}\n".encode()], 0)


def _read_or_write_format(
    files: FileSystem, directory: Path, fresh_id: bytes, program: str
) -> bytes:
    path = directory / "format"
    try:
        file = files.open_to_read(path)
    except FileNotFoundError:
        _write_format(files, path, fresh_id, program)
        return fresh_id
    try:
        content = files.read(file, _LONGEST, 0)
    finally:
        files.close(file)
    try:
        said = json.loads(content)
        version, writer = int(said["format"]), str(said["spanmill"])
        journal_id = bytes.fromhex(said["journal_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(
            f"{path} is damaged or not spanmill's: choose another state.directory, or restore "
            "that file from a backup"
        ) from error
    if version > FORMAT or len(journal_id) != JOURNAL_ID_BYTES:
        raise StartError(
            f"state.directory {directory} is in format {version} of spanmill {writer}, and this "
            f"is {program}, which knows format {FORMAT}: start that version, or choose "
            "another directory"
        )
    return journal_id


def _write_format(files: FileSystem, path: Path, journal_id: bytes, program: str) -> None:
    said = {"format": FORMAT, "spanmill": program, "journal_id": journal_id.hex()}
    fresh = path.with_name("format.new")
    file = files.open(fresh, create=True)
    try:
        files.truncate(file, 0)
        files.write(file, [json.dumps(said).encode() + b"\n"], 0)
        files.sync(file)
    finally:
        files.close(file)
    files.rename(fresh, path)
    files.sync_folder(path.parent)
