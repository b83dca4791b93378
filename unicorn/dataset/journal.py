"""The journal of a block that is being made: what was acknowledged is on the disk, whatever happens next."""

import logging
import os
from pathlib import Path
from typing import Any

import orjson

from unicorn.errors import UserError
from unicorn.files import cannot_write, make_folder, sync, sync_data
from unicorn.stamp import sealed, unsealed

_log = logging.getLogger(__name__)


class Journal:
    """An append-only file of JSON lines, each with its checksum, for one block of one part.

    Opening it brings back what it holds, `records`, to be taken once. A line that a kill cut short is no line: opening
    cuts it off. Raises UserError, naming file and line, if a line before it is not as it was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content.rfind(b"\n") + 1
        self.records = _parse(path, content[:whole])  # as it was found; what is added since is not kept here
        make_folder(path.parent)
        try:
            self._file = path.open("ab", buffering=0)
            self._file.truncate(whole)
            if torn := len(content) - whole:
                _log.info("%s: a last line of %d bytes that was never acknowledged is cut off", path, torn)
            sync(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error

    def take_records(self) -> list[dict[str, Any]]:
        """What it was found to hold; it is forgotten here."""
        records, self.records = self.records, []
        return records

    def append(self, records: list[dict[str, Any]]) -> None:
        """Add records; when this returns they are acknowledged, with one fdatasync for all of them.

        Raises UserError where the system refuses (a full disk); then none of them is in the file.
        """
        size = self._file.seek(0, os.SEEK_END)
        content = b"".join(orjson.dumps(sealed(record), option=orjson.OPT_APPEND_NEWLINE) for record in records)
        try:
            self._write(content)
            sync_data(self._file.fileno())
        except OSError as error:
            self._file.truncate(size)
            raise cannot_write(self.path, error) from error

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file; it stays until its block is written as a shard."""
        self._file.close()


def _parse(path: Path, content: bytes) -> list[dict[str, Any]]:
    records = list[dict[str, Any]]()
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            records.append(unsealed(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number} is corrupt. Delete the file to redo its block.") from error
    return records
