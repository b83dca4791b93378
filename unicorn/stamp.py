"""What tells a file from a damaged one: its size and checksum, and JSON that carries a checksum of itself."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import orjson
import xxhash

from unicorn.errors import UserError
from unicorn.files import replacing

CHECKSUM = "xxh3_128"
CHECKSUMS = "checksums.json"
CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


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

    def check_size(self, path: Path, remedy: str) -> None:
        """Raises UserError, naming the file, if it is missing or of another size. Reads nothing of it."""
        if not path.is_file():
            raise damaged(path, "is missing", remedy)
        if (size := path.stat().st_size) != self.bytes:
            raise damaged(path, f"has {size} bytes where {self.bytes} were written", remedy)

    def check(self, path: Path, remedy: str) -> None:
        """Raises UserError, naming the file, if it is not byte for byte what was written."""
        self.check_size(path, remedy)
        if type(self).of(path) != self:
            raise damaged(path, "is corrupt: its checksum is not that of what was written", remedy)


def damaged(path: Path, what: str, remedy: str) -> UserError:
    """The one line for a file that is not as it was written; `remedy` is a sentence that says what to do."""
    return UserError(f"{path} {what}. {remedy}")


def stamps_of(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The stamps of files of a folder by name, as plain values that `check_stamps` takes."""
    return {name: asdict(Stamp.of(folder / name)) for name in names}


def check_stamps(folder: Path, stamps: dict[str, dict[str, Any]], remedy: str) -> None:
    """Raises UserError, naming the first file that is not byte for byte what was written."""
    for name, stamp in stamps.items():
        Stamp(**stamp).check(folder / name, remedy)


def write_sealed(path: Path, values: dict[str, Any]) -> None:
    """Write plain values and dataclasses as JSON with a checksum of itself, which `read_sealed` believes."""
    with replacing(path) as temporary:
        temporary.write_bytes(orjson.dumps(sealed(values), option=CANONICAL | orjson.OPT_INDENT_2))


def read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """What `write_sealed` wrote. Raises FileNotFoundError, and UserError, naming the file, if it is corrupt."""
    content = path.read_bytes()
    try:
        return unsealed(content)
    except ValueError as error:
        raise damaged(path, "is corrupt: what it holds is not what it was sealed with", remedy) from error


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON would give them back, and their checksum."""
    plain = orjson.loads(orjson.dumps(values, option=CANONICAL))
    return plain | {CHECKSUM: _checksum(plain)}


def unsealed(content: bytes) -> dict[str, Any]:
    """The values of sealed JSON. Raises ValueError if it is not as it was written."""
    values = orjson.loads(content)
    if not isinstance(values, dict) or values.pop(CHECKSUM, None) != _checksum(values):
        raise ValueError("its checksum is not that of its content")
    return values


def _checksum(values: dict[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(orjson.dumps(values, option=CANONICAL))
