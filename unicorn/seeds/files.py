"""Seeds from a JSON Lines file, one `{"text", "id", "domain"}` a line; `id` and `domain` are optional."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash

from unicorn.errors import UserError
from unicorn.records import Seed

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class FilesSettings:
    """`path` of the file; `domain` of the lines that name none."""

    path: str
    domain: str = "open"

    def build(self) -> "FileSeeds":
        """Read and check the file once. Raises UserError naming the first bad line."""
        return FileSeeds(Path(self.path), self.domain)


class FileSeeds:
    """The lines of a JSON Lines file, streamed.

    A line without an id gets one from its text and domain, so that it keeps it wherever it moves; when the
    same line comes again it is the same seed, and is left out. An id that the file gives must not come twice.
    """

    def __init__(self, path: Path, domain: str = "open") -> None:
        if not path.is_file():
            raise UserError(f"no seeds at {path}: no such file. Set seeds.path to a JSON Lines file.")
        self._path = path
        self._domain = domain
        self._count = sum(1 for _ in self)
        if not self._count:
            raise UserError(f"no seeds in {path}: it is empty. Each line is an object with a 'text'.")
        with path.open("rb") as file:
            checksum = xxhash.xxh3_128()
            lines = 0
            for line in file:
                checksum.update(line)
                lines += bool(line.strip())
        self._checksum = checksum.hexdigest()
        if repeated := lines - self._count:
            _log.warning("%s: %d lines repeat an earlier one and are left out", path, repeated)

    @property
    def name(self) -> str:
        """The file's name and checksum, and the domain of the lines that name none."""
        return f"{self._path.name} {self._checksum} {self._domain}"

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seed]:
        seen: set[str] = set()
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                values = self._read(number, line)
                text, domain = values["text"].strip(), values.get("domain", self._domain)
                identity = values.get("id") or _identity(text, domain)
                if identity not in seen:
                    seen.add(identity)
                    yield Seed(id=identity, text=text, source=self._path.name, domain=domain)
                elif "id" in values:
                    raise self._bad(number, f"the id {identity!r} comes a second time")

    def _read(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self._bad(number, f"not JSON ({error})") from error
        if not isinstance(values, dict) or "text" not in values:
            raise self._bad(number, "not an object with a 'text'")
        for key in ("id", "text", "domain"):
            if key in values and not (isinstance(values[key], str) and values[key].strip()):
                raise self._bad(number, f"{key!r} is not a text, or is empty")
        return values

    def _bad(self, number: int, reason: str) -> UserError:
        return UserError(f"{self._path}, line {number}: {reason}. Mend the line or remove it.")


def _identity(text: str, domain: str) -> str:
    return xxhash.xxh3_128_hexdigest(f"{domain}\0{text}".encode())
