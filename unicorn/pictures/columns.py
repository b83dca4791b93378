"""Which column of a table is what, and a row of it -> an encoded picture."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from unicorn.errors import UserError
from unicorn.pictures.sieve import Encoded


@dataclass(kw_only=True)
class Columns:
    """Names of columns. Without an `id` the row's number is it; of a list of captions the first is taken."""

    image: str = "image"
    id: str | None = None
    caption: str | None = None
    domain: str | None = None

    @property
    def chosen(self) -> list[str]:
        """All that are to be read."""
        return [name for name in (self.image, self.id, self.caption, self.domain) if name is not None]

    def require(self, there: Collection[str], where: str) -> None:
        """Raises UserError, naming what is there, if a chosen column is not."""
        for name in self.chosen:
            if name not in there:
                raise UserError(
                    f"{where} has no column {name!r}, but {', '.join(there)}. Set pictures.columns.image=, .id=, "
                    ".caption= and .domain= to those that are meant."
                )

    def encoded(self, row: Mapping[str, Any], number: int) -> Encoded:
        """The picture of a row: its bytes, alone or as `datasets` keeps them, beside the path of its file.

        Raises UserError if the column holds anything else.
        """
        image = row[self.image]
        file: bytes | None = image
        path: str | None = None
        if isinstance(image, Mapping) and "bytes" in image:
            file, path = image["bytes"], image.get("path")
        elif not isinstance(image, bytes | None):
            raise UserError(
                f"the column {self.image!r} holds {type(image).__name__}, not the bytes of pictures. "
                "Set pictures.columns.image= to the one that does."
            )
        return Encoded(
            id=str(number) if self.id is None else str(row[self.id]),
            file=path if file is None else file,
            caption=_text(row, self.caption, ""),
            domain=_text(row, self.domain, "open"),
        )


def _text(row: Mapping[str, Any], column: str | None, default: str) -> str:
    value = None if column is None else row[column]
    if isinstance(value, list):
        value = value[0] if value else None
    return default if value is None else str(value)
