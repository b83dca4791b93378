"""The files that captions come in, each read row by row."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from unicorn.errors import UserError, in_a_line
from unicorn.seeds.columns import Columns
from unicorn.seeds.lines import Lines
from unicorn.seeds.rows import Flaw, Flawed, Row

_AT_ONCE = 8192


class Format(Enum):
    """What a file is; its value are the suffixes by which it is told."""

    jsonl = (".jsonl", ".ndjson")
    csv = (".csv",)
    tsv = (".tsv",)
    parquet = (".parquet",)
    text = (".txt",)
    json = (".json",)


class CaptionFile(ABC):
    """A file of captions, as a table of a corpus; `name` is what rejects call it."""

    unit = "line"

    def __init__(self, path: Path, name: str, columns: Columns) -> None:
        self.path = path
        self.name = name
        self.columns = columns

    @property
    def source(self) -> str:
        """The file's name."""
        return self.path.name

    @abstractmethod
    def rows(self) -> Iterator[Row | Flawed]:
        """All rows. Raises UserError where nothing more can be read."""

    def place(self, number: int) -> str:
        """The file and the number of the row, from 1."""
        return f"{self.name}, {self.unit} {number}"

    def bad(self, number: int, reason: str) -> UserError:
        """The line for a row that is not as it should be."""
        return UserError(f"{self.path}, {self.unit} {number}: {reason}. Mend it there, or remove it.")

    def _of_objects(self, objects: Iterable[tuple[int, Any] | Flawed]) -> Iterator[Row | Flawed]:
        """The rows of JSON objects and their numbers."""
        columns = self.columns
        required, (text, identity, domain) = columns.required, (columns.text, columns.id, columns.domain)
        for each in objects:
            if isinstance(each, Flawed):
                yield each
                continue
            number, values = each
            there: Any = values if isinstance(values, dict) else ()
            if lacking := [name for name in required if name not in there]:
                yield Flawed(number, Flaw.FIELDS, f"not an object with a {lacking[0]!r}", values)
            else:
                yield number, there[text], there.get(identity), there.get(domain)


class JsonLines(CaptionFile):
    """One object a line."""

    def rows(self) -> Iterator[Row | Flawed]:
        """A row a line; empty lines are passed over."""
        return self._of_objects(self._objects())

    def _objects(self) -> Iterator[tuple[int, Any] | Flawed]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    if line.strip():
                        yield Flawed(number, Flaw.JSON, f"not JSON ({error})", line.decode(errors="replace").strip())


class Json(CaptionFile):
    """One JSON value, read whole: a list of objects, or COCO's captions, of which one is kept for each image."""

    unit = "item"

    def rows(self) -> Iterator[Row | Flawed]:
        """A row an object, or a row an image with all of its captions."""
        try:
            values = orjson.loads(self.path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise UserError(
                f"{self.path} is no JSON ({error}). Mend it, or set seeds.format=jsonl if it is an object a line."
            ) from error
        if isinstance(values, list):
            return self._of_objects(enumerate(values, start=1))
        if isinstance(values, dict) and isinstance(values.get("annotations"), list):
            return self._images(values["annotations"])
        raise UserError(
            f"{self.path} holds neither a list of objects nor the 'annotations' of COCO captions. Set seeds.format=."
        )

    def _images(self, annotations: list[Any]) -> Iterator[Row | Flawed]:
        images: dict[Any, tuple[int, list[Any]]] = {}
        for number, annotation in enumerate(annotations, start=1):
            try:
                identity, caption = annotation["image_id"], annotation["caption"]
                images.setdefault(identity, (number, []))[1].append(caption)
            except (TypeError, KeyError):
                why = "no COCO caption, which has an 'image_id' and a 'caption'"
                yield Flawed(number, Flaw.FIELDS, why, annotation)
        for identity, (number, captions) in images.items():
            yield number, captions, identity, None


class PlainText(CaptionFile):
    """One caption a line."""

    def rows(self) -> Iterator[Row | Flawed]:
        """A row a line; empty lines are passed over."""
        with self.path.open("rb") as file:
            lines = Lines(file)
            while True:
                lines.begin()
                try:
                    text = next(lines).strip()
                except StopIteration:
                    return
                except UnicodeDecodeError as error:
                    yield _no_text(lines, error)
                else:
                    if text:
                        yield lines.number, text, None, None


class Delimited(CaptionFile):
    """CSV, quoted as Excel does it, or TSV, in which nothing is quoted."""

    def __init__(self, path: Path, name: str, columns: Columns, *, tabs: bool, header: bool) -> None:
        super().__init__(path, name, columns)
        self._tabs = tabs
        self._header = header

    def rows(self) -> Iterator[Row | Flawed]:
        """A row a record, with the number of its last line; an empty field is none."""
        with self.path.open("rb") as file:
            lines = Lines(file)
            records = self._records(lines)
            first = next(records, [])
            if isinstance(first, Flawed):  # without it nobody knows the columns
                raise self.bad(first.number, first.why)
            names = first if self._header else [str(number) for number in range(1, len(first) + 1)]
            self.columns.require(names, str(self.path))
            places = [None if name is None else names.index(name) for name in self.columns.within(names)]
            for record in records if self._header else chain([first], records):
                if isinstance(record, Flawed):
                    yield record
                elif len(record) != len(names):
                    why = f"{len(record)} fields where the first line has {len(names)}"
                    yield Flawed(lines.number, Flaw.FIELDS, why, lines.taken)
                else:
                    text, identity, domain = (None if place is None else record[place] or None for place in places)
                    yield lines.number, text, identity, domain

    def _records(self, lines: Lines) -> Iterator[list[str] | Flawed]:
        """The records that are not empty. Of one that cannot be read the first line is left out, and the rest tried."""
        quoting = csv.QUOTE_NONE if self._tabs else csv.QUOTE_MINIMAL
        records = csv.reader(lines, delimiter="\t" if self._tabs else ",", quoting=quoting, strict=True)
        while True:
            lines.begin()
            try:
                record = next(records)
            except StopIteration:
                return
            except UnicodeDecodeError as error:
                yield _no_text(lines, error)
            except csv.Error as error:
                lines.put_back()
                yield Flawed(lines.number, Flaw.FIELDS, f"cannot be told apart into fields ({error})", lines.taken)
            else:
                if record:
                    yield record


def _no_text(lines: Lines, error: UnicodeDecodeError) -> Flawed:
    return Flawed(lines.number, Flaw.ENCODING, f"not UTF-8 ({error})", lines.taken)


class Parquet(CaptionFile):
    """A Parquet file, of which a few thousand rows are in memory."""

    unit = "row"

    def rows(self) -> Iterator[Row | Flawed]:
        """A row a row, of the columns that are asked for."""
        number = 0
        try:
            with pq.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20) as table:
                self.columns.require(names := table.schema_arrow.names, str(self.path))
                within = self.columns.within(names)
                chosen = [name for name in within if name is not None]
                for batch in table.iter_batches(_AT_ONCE, columns=chosen):
                    yield from rows_of(batch, within, number + 1)
                    number += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{self.path} cannot be read as Parquet ({in_a_line(error)}). Fetch it again, or remove it."
            ) from error


def rows_of(batch: pa.RecordBatch | pa.Table, columns: tuple[str | None, ...], first: int) -> Iterator[Row | Flawed]:
    """The rows of a piece of an Arrow table, the number of its first being `first`."""
    none = [None] * len(batch)
    try:
        text, identity, domain = (none if name is None else batch[name].to_pylist() for name in columns)
    except UnicodeDecodeError as error:  # of one row or more: they are told apart by halves
        if len(batch) == 1:
            return iter([Flawed(first, Flaw.ENCODING, f"not UTF-8 ({error})", "")])
        half = len(batch) // 2
        return chain(rows_of(batch.slice(0, half), columns, first), rows_of(batch.slice(half), columns, first + half))
    return zip(range(first, first + len(batch)), text, identity, domain, strict=True)


def open_file(path: Path, name: str, kind: Format, columns: Columns, header: bool) -> CaptionFile:
    """The file as a table; nothing is read."""
    match kind:
        case Format.jsonl:
            return JsonLines(path, name, columns)
        case Format.csv | Format.tsv:
            return Delimited(path, name, columns, tabs=kind is Format.tsv, header=header)
        case Format.parquet:
            return Parquet(path, name, columns)
        case Format.text:
            return PlainText(path, name, columns)
        case Format.json:
            return Json(path, name, columns)
