"""Which column of a table is what."""

from collections.abc import Collection
from dataclasses import dataclass, fields

from unicorn.errors import UserError


@dataclass(kw_only=True)
class Columns:
    """Names of columns. `id` and `domain` are read where a table has them; by any other name it must have them.

    A text may be a list of captions of one picture, of which one is kept. null: there is no such column.
    """

    text: str = "text"
    id: str | None = "id"
    domain: str | None = "domain"

    @property
    def required(self) -> tuple[str, ...]:
        """Those that a table must have."""
        names = ((item.default, getattr(self, item.name)) for item in fields(self))
        return (self.text, *(name for usual, name in names if name not in (None, usual, self.text)))

    def require(self, there: Collection[str], where: str) -> None:
        """Raises UserError, naming what is there, if a table lacks one."""
        for name in self.required:
            if name not in there:
                raise UserError(
                    f"{where} has no column {name!r}, but {', '.join(map(repr, there))}. "
                    "Set seeds.columns.text=, .id= and .domain= to those that are meant."
                )

    def within(self, there: Collection[str]) -> tuple[str, str | None, str | None]:
        """The names of text, id and domain in a table; None for those that it has not."""
        return (
            self.text,
            self.id if self.id in there else None,
            self.domain if self.domain in there else None,
        )
