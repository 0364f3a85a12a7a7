"""Recorded requests are read one at a time, and a bad file is named with its fault."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import zstandard

from spanmill.errors import StartError
from spanmill.spans.framed import read_framed


def framed(messages: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(message)) + message for message in messages)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spans.zst"


def write(path: Path, content: bytes) -> None:
    path.write_bytes(zstandard.ZstdCompressor().compress(content))


def test_the_real_file_is_read_as_by_hand(
    astronomy_file: Path, astronomy_requests: list[bytes]
) -> None:
    assert list(read_framed(astronomy_file)) == astronomy_requests


def test_messages_of_every_size_come_back(path: Path) -> None:
    messages = [b"", b"a", b"b" * 3, b"", bytes(range(256)) * 1000]
    write(path, framed(messages))
    assert list(read_framed(path)) == messages


def test_an_empty_stream_has_no_messages(path: Path) -> None:
    write(path, b"")
    assert list(read_framed(path)) == []


def test_several_zstd_frames_are_one_stream(path: Path) -> None:
    content = framed([b"first", b"second"])
    compress = zstandard.ZstdCompressor().compress
    path.write_bytes(compress(content[:7]) + compress(content[7:]))
    assert list(read_framed(path)) == [b"first", b"second"]


def test_a_large_file_is_read_in_little_memory(path: Path) -> None:
    write(path, framed([bytes(100_000)] * 500))
    tracemalloc.start()
    try:
        for message in read_framed(path):
            assert len(message) == 100_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (framed([b"abc"]) + b"\0\0", "is cut short at byte 9"),
        (framed([b"abc", b"defg"])[:-1], "is cut short at byte 14: 1 bytes of a message"),
        (b"\0\0\0\5", "is cut short at byte 4: 5 bytes of a message"),
        (framed([b"abc"]) + b"\xff" * 20, "a message of 4294967295 bytes at byte 7, more than"),
    ],
)
def test_a_stream_that_is_cut_short_or_damaged_is_refused(
    path: Path, content: bytes, fault: str
) -> None:
    write(path, content)
    with pytest.raises(StartError, match=fault):
        list(read_framed(path))


def test_messages_before_the_fault_are_given(path: Path) -> None:
    write(path, framed([b"abc", b"defg"])[:-1])
    assert next(read_framed(path)) == b"abc"


def test_a_longer_message_than_allowed_is_refused(path: Path) -> None:
    write(path, framed([b"abc"]))
    assert list(read_framed(path, longest=3)) == [b"abc"]
    with pytest.raises(StartError, match="3 bytes at byte 0, more than 2"):
        list(read_framed(path, longest=2))


def test_a_zstd_file_that_is_cut_short_is_refused(path: Path) -> None:
    write(path, framed([struct.pack(">I", number) * 1000 for number in range(1000)]))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(StartError, match="is cut short at byte"):
        list(read_framed(path))


@pytest.mark.parametrize("kept", range(31))
def test_a_frame_without_its_end_is_refused_though_its_messages_are_whole(
    path: Path, kept: int
) -> None:
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    first = compressor.compress(framed([b"abc"]))
    first += compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    whole = first + compressor.compress(framed([b"defg"])) + compressor.flush()
    assert len(whole) == 31
    path.write_bytes(whole[:kept])
    with pytest.raises(StartError, match="is cut short at byte"):
        list(read_framed(path))


def test_a_second_frame_without_its_end_is_refused(path: Path) -> None:
    compress = zstandard.ZstdCompressor().compress
    first, second = compress(framed([b"abc"])), compress(framed([b"defg"]))
    for kept in range(1, len(second)):
        path.write_bytes(first + second[:kept])
        with pytest.raises(StartError, match="is cut short at byte"):
            list(read_framed(path))


def test_a_frame_to_be_skipped_is_skipped(path: Path) -> None:
    skippable = struct.pack("<II", 0x184D2A53, 5) + b"notes"
    frame = zstandard.ZstdCompressor().compress(framed([b"abc"]))
    path.write_bytes(skippable + frame + skippable)
    assert list(read_framed(path)) == [b"abc"]
    path.write_bytes((skippable + frame + skippable)[:-1])
    with pytest.raises(StartError, match="is cut short at byte"):
        list(read_framed(path))


def test_blocks_of_every_kind_are_passed_over(path: Path) -> None:
    rng = Random(1)
    messages = [bytes(400_000), rng.randbytes(400_000), b"text " * 80_000]
    write(path, framed(messages))
    assert list(read_framed(path)) == messages


def test_what_is_no_zstd_is_refused(path: Path) -> None:
    path.write_bytes(framed([b"abc"]))
    with pytest.raises(StartError, match="is not a zstd file"):
        list(read_framed(path))


def test_a_file_that_can_not_be_opened_is_named(path: Path) -> None:
    with pytest.raises(StartError, match=r"can't read .*spans\.zst: No such file"):
        list(read_framed(path))
