"""The journal's directory: one process has it, and it says which format it is in."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from pathlib import Path
from typing import Final

from spanmill.errors import StartError
from spanmill.journal.files import FileSystem, make_folders
from spanmill.journal.held_directory import HeldDirectory
from spanmill.journal.segment import first_of
from spanmill.journal.segment_format import BLOCK, FORMAT, decode_head

_log = logging.getLogger(__name__)

JOURNAL_ID_BYTES: Final = 16
_LONGEST: Final = 4096
_NO_FOLDER_LOCKS: Final = (errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOTSUP, errno.ENOSYS)
"""Where a file system locks files alone: NFS, which needs a file that is open for writing."""


def open_directory(
    files: FileSystem, directory: Path, fresh_id: bytes, version: str
) -> HeldDirectory:
    """Take hold of a directory, and make it where there is none.

    Raises StartError, one sentence that says how to go on.
    """
    opened: list[int] = []
    try:
        _make_folders(files, directory)
        opened.append(files.open_folder(directory))
        opened.append(files.open(directory / "lock", create=True))
        _lock(files, directory, *opened)
        journal_id = _read_or_write_format(files, directory, fresh_id, version)
        held = HeldDirectory(files, directory, journal_id, opened)
        held.know()
    except (OSError, StartError) as error:
        for file in opened:
            files.close(file)
        if isinstance(error, OSError):
            raise unusable(directory, error) from error
        raise
    return held


def unusable(directory: Path, error: OSError) -> StartError:
    """Why a directory can't be used, and what to do, in one sentence."""
    if error.errno in (errno.EACCES, errno.EPERM):
        what = f"give the user {os.geteuid()} the right to write there and to read what is there"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        what = "give the process more open files (ulimit -n, LimitNOFILE)"
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
    made = make_folders(files, directory)
    for folder in (directory / "journal", directory / "cursors"):
        make_folders(files, folder)
    files.sync_folder(directory)
    if not made:  # a start that was killed may have made it
        with contextlib.suppress(PermissionError):  # who may only pass through can't have made it
            files.sync_folder(directory.parent)


def _lock(files: FileSystem, directory: Path, folder: int, lock: int) -> None:
    """Lock the folder, and the file for those that know only that; it names the holder."""
    try:
        _lock_folder(files, folder)
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


def _lock_folder(files: FileSystem, folder: int) -> None:
    try:
        files.lock(folder)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_FOLDER_LOCKS:
            raise


def _read_or_write_format(
    files: FileSystem, directory: Path, fresh_id: bytes, program: str
) -> bytes:
    path = directory / "format"
    try:
        file = files.open_to_read(path)
    except FileNotFoundError:
        journal_id = _id_of_segments(files, directory)
        if journal_id is not None:
            _log.warning(
                "the journal's format file is missing and is written again from its segments",
                extra={"file": str(path)},
            )
        _write_format(files, path, journal_id or fresh_id, program)
        return journal_id or fresh_id
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
            f"{path} is damaged or not spanmill's: choose another state.directory, or remove that "
            "file to have it written again as the segments say"
        ) from error
    if version > FORMAT or len(journal_id) != JOURNAL_ID_BYTES:
        raise StartError(
            f"state.directory {directory} is in format {version} of spanmill {writer}, and this "
            f"is {program}, which knows format {FORMAT}: start that version, or choose "
            "another directory"
        )
    return journal_id


def _id_of_segments(files: FileSystem, directory: Path) -> bytes | None:
    """Which journal the segments say they belong to; None where none says so."""
    folder = directory / "journal"
    said: dict[bytes, str] = {}
    for name in sorted(files.names(folder)):
        first = first_of(name)
        if first is None:
            continue
        file = files.open_to_read(folder / name)
        try:
            head = decode_head(files.read(file, BLOCK, 0), first)
        finally:
            files.close(file)
        if head is not None:
            said.setdefault(head.journal_id, name)
    if len(said) > 1:
        one, other = list(said.values())[:2]
        raise StartError(
            f"{directory / 'format'} is missing, and {one} and {other} in {folder} belong to "
            "different journals: restore that file from a backup, or move the segments of one of "
            "them out of this directory"
        )
    return next(iter(said), None)


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
