"""`spanmill journal ls`: what is in a state directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from spanmill.cli.journal.directory import UNSYNCED_GAP, SeenSegment, StateDirectory, totals
from spanmill.journal.log import Signal

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def listing(state: StateDirectory, now_ns: int, *, verify: bool = False) -> str:
    """Segments, destinations, checkpoints and dead letters, as text."""
    segments = state.segments(verify=verify)
    parts = [
        _segments(segments, now_ns),
        _cursors(state, segments),
        _checkpoints(state, now_ns),
        _dead_letters(state, now_ns),
    ]
    return "\n\n".join(parts)


def _segments(segments: Sequence[SeenSegment], now_ns: int) -> str:
    rows = []
    for seen in segments:
        segment = seen.segment
        if segment is None:
            rows.append((seen.path.name, "", "", "", "", "", "", seen.problem))
            continue
        footer = segment.footer
        spans, points = totals(segment, Signal.TRACES)[0], totals(segment, Signal.METRICS)[0]
        ages = ""
        if footer.records:
            oldest, newest = (age(now_ns - arrival) for arrival in footer.arrivals)
            ages = f"{newest} - {oldest}"
        state = ("compressed" if segment.cold else "sealed") if segment.sealed else "open"
        if seen.damage:
            places = ", ".join(str(damage.at) for damage in seen.damage[:5])
            state += f"; damaged at byte {places}" + (" …" if len(seen.damage) > 5 else "")
        last = footer.end - 1
        if footer.end - segment.first > footer.records + UNSYNCED_GAP:
            last = segment.first + footer.records - 1
        rows.append(
            (
                str(segment.first),
                str(last) if footer.records else "-",
                str(footer.records),
                str(spans),
                str(points),
                size_text(segment.size),
                ages,
                state,
            )
        )
    heads = ("first", "last", "records", "spans", "points", "on disk", "age", "state")
    return "segments\n" + table(heads, rows)


def _cursors(state: StateDirectory, segments: Sequence[SeenSegment]) -> str:
    stored = state.records(list(segments))
    rows = []
    for cursor in state.cursors():
        entry = cursor.entry
        if entry is None:
            rows.append((cursor.name, cursor.signal, "its file can't be read", "", "", "", ""))
            continue
        signal = Signal(cursor.signal)
        ranges = [*entry.unanswered, (entry.next, max(entry.next, stored.end))]
        waiting = [stored.backlog(signal, begin, end) for begin, end in ranges]
        outcomes = " ".join(f"{name}={count}" for name, count in sorted(entry.outcomes.items()))
        rows.append(
            (
                cursor.name,
                cursor.signal,
                str(entry.next),
                str(sum(end - begin for begin, end in entry.unanswered)),
                str(sum(each.items for each in waiting)),
                size_text(sum(each.bytes for each in waiting)),
                outcomes or "-",
            )
        )
    heads = ("name", "signal", "next", "unanswered", "queued items", "queued", "outcomes")
    return "destinations (also those that are no longer configured)\n" + table(heads, rows)


def _checkpoints(state: StateDirectory, now_ns: int) -> str:
    rows = [
        (
            str(one.position),
            size_text(one.size),
            "-" if one.arrival_ns is None else age(now_ns - one.arrival_ns),
            one.problem or "usable",
        )
        for one in state.checkpoints()
    ]
    return "checkpoints\n" + table(("position", "size", "age", "state"), rows)


def _dead_letters(state: StateDirectory, now_ns: int) -> str:
    letters: Counter[tuple[str, str, str]] = Counter()
    items: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], int] = {}
    for letter in state.dead_letters():
        key = (letter.destination, letter.signal.value, letter.reason[:80])
        letters[key] += 1
        items[key] += letter.items
        newest[key] = letter.time_ns
    rows = [
        (name, signal, str(letters[key]), str(items[key]), age(now_ns - newest[key]), reason)
        for key in letters
        for name, signal, reason in [key]
    ]
    heads = ("destination", "signal", "letters", "items", "newest", "reason")
    return "dead letters\n" + table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, or a word that there are none."""
    if not rows:
        return "  none"
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = (heads, *rows)
    return "\n".join("  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def size_text(size: int) -> str:
    """Bytes in words."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def age(nanoseconds: int) -> str:
    """A time span in its largest unit that makes sense."""
    seconds = nanoseconds / 1e9
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
