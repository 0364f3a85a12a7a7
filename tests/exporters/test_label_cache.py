"""What an exposition keeps of labels."""

from __future__ import annotations

from spanmill.exporters.exposition.label_cache import MAX_BYTES, LabelCache


def test_what_is_kept_is_found_again() -> None:
    cache: LabelCache[str, bytes] = LabelCache()
    assert cache.get("a") is None
    assert cache.add("a", b"1") == b"1"
    assert cache.get("a") == b"1"


def test_what_finds_no_room_is_handed_back_and_not_kept() -> None:
    cache: LabelCache[int, str] = LabelCache()
    text = "x" * 100_000
    for number in range(1_000):
        assert cache.add(number, text) is text
    assert len(cache) * len(text) <= MAX_BYTES + len(text)
    assert cache.get(0) is text
    assert cache.get(999) is None
