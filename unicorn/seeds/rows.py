"""What a table of captions gives, row by row: captions, and rows that are none."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from unicorn.errors import UserError

SHOWN = 2000  # letters of a flawed row that are kept

# A row of a table: its number there, text (or several), id and domain; None for what it does not say.
Row = tuple[int, Any, Any, Any]


class Flaw(StrEnum):
    """Why a row is none."""

    ENCODING = "not UTF-8"
    JSON = "not JSON"
    FIELDS = "other fields than the table's"
    TEXT = "no text"
    ID = "an id that is no text"
    DOMAIN = "a domain that is no text"
    REPEATED = "an id that came before"


@dataclass(frozen=True, slots=True)
class Flawed:
    """A row that cannot be read: its number, its flaw, in a few words what is wrong, and what it holds."""

    number: int
    flaw: Flaw
    why: str
    held: Any

    @property
    def shown(self) -> str:
        """The beginning of what it holds, as text."""
        held = self.held
        return (held if isinstance(held, str) else json.dumps(held, ensure_ascii=False, default=str))[:SHOWN]


class Table(Protocol):
    """Rows of captions: a file, or a split of a dataset."""

    @property
    def source(self) -> str:
        """What its seeds say they are from."""
        ...

    def rows(self) -> Iterator[Row | Flawed]:
        """All rows, in the same order each time. Raises UserError where nothing more can be read."""
        ...

    def place(self, number: int) -> str:
        """Where a row is, as a dataset's rejects name it."""
        ...

    def bad(self, number: int, reason: str) -> UserError:
        """The line for a row that is not as it should be."""
        ...
