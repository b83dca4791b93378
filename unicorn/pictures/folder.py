"""A folder of picture files, as `datasets` calls an imagefolder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from unicorn.errors import UserError
from unicorn.pictures.decoding import FORMATS, DecodingSettings
from unicorn.pictures.sieve import Encoded, Sieve

METADATA = "metadata.jsonl"
_NOT_READ = (".heic", ".heif", ".jxl", ".svg", ".eps", ".psd", ".tga", ".dng")  # rejected by name, not passed over


@dataclass(kw_only=True)
class FolderSettings:
    """`path` of the folder. A picture's id is its path in there, and its domain the folder directly below.

    Captions are in metadata.jsonl, one {"file_name", "text"} a line; `caption` names another key of theirs.
    """

    path: str
    caption: str = "text"
    decoding: DecodingSettings = field(default_factory=DecodingSettings)

    def build(self) -> Sieve:
        """Raises UserError if there is no such folder, or a line of metadata.jsonl is bad."""
        return Sieve(FolderStore(Path(self.path), self.caption), self.decoding)


class FolderStore:
    """The files with a picture's suffix in a folder and below, by name; and those that metadata.jsonl alone knows."""

    def __init__(self, path: Path, caption: str) -> None:
        if not path.is_dir():
            raise UserError(f"no pictures at {path}: no such folder. Set pictures.path to one of picture files.")
        self._path = path
        self._captions = dict(_captions(path / METADATA, caption))

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def encoded(self) -> Iterator[Encoded]:
        """The files, in the order of their names."""
        suffixes = _suffixes()
        paths = (path for path in self._path.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        found = {path.relative_to(self._path).as_posix() for path in paths}
        for name in sorted(found | self._captions.keys()):
            shown = os.fsencode(name).decode(errors="backslashreplace")  # a name on the disk can be no text at all
            folder, _, rest = shown.partition("/")
            yield Encoded(
                id=shown,
                file=str(self._path / name),
                caption=self._captions.get(name, ""),
                domain=folder if rest else "open",
            )


def _suffixes() -> frozenset[str]:
    """Those of all formats that are decoded, and of pictures that are not."""
    from PIL import Image

    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, kind in known if kind in FORMATS).union(_NOT_READ)


def _captions(path: Path, key: str) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    values: Any = orjson.loads(line)
                    name, caption = values["file_name"], values[key]
                    good = isinstance(name, str) and isinstance(caption, str)
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    good, name, caption = False, "", ""
                if not good:
                    raise UserError(f'{path}, line {number}: not a {{"file_name", "{key}"}}. Mend or remove the line.')
                yield name, caption
