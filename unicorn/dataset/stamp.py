"""Size and checksum of a file, by which it is known again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import xxhash

from unicorn.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A file as it was written; XXH3 finds what disks and copies do to it, at the speed of reading."""

    bytes: int
    xxh3_128: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The stamp of the file at `path`."""
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
        return cls(bytes=path.stat().st_size, xxh3_128=checksum)

    def check_size(self, path: Path) -> None:
        """Raises UserError, naming the file, if it is missing or of another size. Reads nothing of it."""
        if not path.is_file():
            raise damaged(path, "is missing")
        if (size := path.stat().st_size) != self.bytes:
            raise damaged(path, f"has {size} bytes where {self.bytes} were written")

    def check(self, path: Path) -> None:
        """Raises UserError, naming the file, if it is not byte for byte what was written."""
        self.check_size(path)
        if type(self).of(path) != self:
            raise damaged(path, "is corrupt: its checksum is not that of what was written")


def damaged(path: Path, what: str) -> UserError:
    """The one line for a file of a dataset that is not as it was written."""
    return UserError(f"{path} {what}. Restore it from a copy, or delete {path.parent} and synthesize it again.")
