"""The lines of a text in UTF-8, some of which may have to be read again."""

from collections import deque
from collections.abc import Iterable
from typing import Self


class Lines:
    """Lines one after the other, with or without a byte order mark before the first."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._again = deque[bytes]()
        self._taken: list[bytes] = []
        self.number = 0
        """Of the line that was taken last, from 1."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line. Raises UnicodeDecodeError for one that is something else; it is taken, too."""
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line.decode("utf-8" if self.number > 1 else "utf-8-sig")

    def begin(self) -> None:
        """Forget what was taken: a record begins here."""
        self._taken.clear()

    def put_back(self) -> None:
        """Put back all that the record has taken but its first line."""
        again = self._taken[1:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)
        del self._taken[1:]

    @property
    def taken(self) -> str:
        """What the record has taken, as well as it can be read."""
        return b"".join(self._taken).decode(errors="replace").strip()
