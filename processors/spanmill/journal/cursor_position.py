"""Where a cursor stands: what it has not read yet, and what it read and waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from spanmill.journal.cursor_ranges import Range, Ranges


class CursorPosition:
    """Positions below `next` that nobody answered for, and all from `next` on.

    After a restart the former are read once more, before anything else. A record that was read
    stands for the positions up to the following one too, which other signals have: so what is
    unanswered stays a few ranges, however the signals are mixed. Memory: one entry for each
    record that was read and not answered for, and a pair of numbers for each range.
    """

    def __init__(self, next_position: int, unanswered: Iterable[Range] = ()) -> None:
        self.next = next_position
        self._unanswered = Ranges(unanswered)
        self._again = deque(self._unanswered)
        self._ends: dict[int, int] = {}

    @property
    def lowest(self) -> int:
        """The lowest position that may still be needed."""
        lowest = self._unanswered.lowest
        return self.next if lowest is None else lowest

    @property
    def unanswered(self) -> list[Range]:
        """What lies below `next` and has no answer."""
        return list(self._unanswered)

    def unread(self, end: int) -> Range:
        """The range to be read next, of the positions below `end`; it may be empty."""
        return self._again[0] if self._again else (self.next, max(self.next, end))

    def all_unread(self, below: int) -> Iterator[Range]:
        """Everything below this position that is to be read."""
        for begin, end in (*self._again, (self.next, below)):
            if begin < min(end, below):
                yield begin, min(end, below)

    def has_read_all(self, end: int) -> bool:
        """Whether nothing below `end` is to be read."""
        return not self._again and self.next >= end

    def read(self, positions: Sequence[int], reached: int) -> None:
        """The records at these positions were read, and no others are there below `reached`."""
        begin, _ = self.unread(reached)
        if self._again:
            self._forget_again(reached)
            self._unanswered.remove(begin, positions[0] if positions else reached)
        else:
            self.next = reached
            if positions:
                self._unanswered.add(positions[0], reached)
        self._ends.update(zip(positions, (*positions[1:], reached), strict=False))

    def answered(self, positions: Iterable[int]) -> None:
        """These records, which were read, need no more."""
        begin = end = -1
        for position in sorted(positions):
            if position != end:
                self._unanswered.remove(begin, end)
                begin = position
            end = self._ends.pop(position)
        self._unanswered.remove(begin, end)

    def skip(self, below: int) -> None:
        """What lies below this position and wasn't read is given up."""
        while self._again and self._again[0][0] < below:
            begin, end = self._again[0]
            self._unanswered.remove(begin, min(end, below))
            self._forget_again(below)
        if not self._again:
            self.next = max(self.next, below)

    def _forget_again(self, below: int) -> None:
        _, end = self._again.popleft()
        if below < end:
            self._again.appendleft((below, end))
