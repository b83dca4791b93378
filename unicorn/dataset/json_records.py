"""Records out of a JSON file of any size, one at a time: an array of them, or one a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import orjson

from unicorn.errors import UserError, in_a_line


def read_records(path: Path) -> Iterator[tuple[str, Any]]:
    """What the file holds, record by record, each with its place: "record 17" of an array, or "line 17", from 1.

    A line that is not JSON comes as its text. Raises UserError, naming the file and the place, where an array breaks
    off or is not JSON, since nothing after that can be read.
    """
    with path.open("rb") as file:
        first = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        file.seek(0)
        yield from _array(path, file) if first == b"[" else _lines(file)


def _array(path: Path, file: BinaryIO) -> Iterator[tuple[str, Any]]:
    if file.read(3) != b"\xef\xbb\xbf":  # a byte order mark, which is no JSON
        file.seek(0)
    number = 0
    try:
        for number, values in enumerate(ijson.items(file, "item", use_float=True), start=1):
            yield f"record {number}", values
    except ijson.JSONError as error:
        raise UserError(
            f"{path} is not JSON after record {number}: {in_a_line(error)}. Mend the file there, or fetch it again."
        ) from error


def _lines(file: BinaryIO) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield f"line {number}", _parsed(line)


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return line.decode(errors="replace")
