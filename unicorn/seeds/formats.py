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
from unicorn.seeds.corpus import Row

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
    """A file of captions, as a table of a corpus."""

    unit = "line"

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path = path
        self.columns = columns

    @property
    def source(self) -> str:
        """The file's name."""
        return self.path.name

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """All rows. Raises UserError for one that cannot be read."""

    def bad(self, number: int, reason: str) -> UserError:
        """The line for a row that is not as it should be."""
        return UserError(f"{self.path}, {self.unit} {number}: {reason}. Mend it there, or remove it.")

    def _lines(self) -> Iterator[str]:
        """The lines of a text in UTF-8, with or without a byte order mark."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield line.decode("utf-8" if number > 1 else "utf-8-sig")
                except UnicodeDecodeError as error:
                    raise self.bad(number, f"not UTF-8 ({error})") from error

    def _of_objects(self, objects: Iterable[tuple[int, Any]]) -> Iterator[Row]:
        """The rows of JSON objects and their numbers."""
        columns = self.columns
        required, (text, identity, domain) = columns.required, (columns.text, columns.id, columns.domain)
        for number, values in objects:
            if not isinstance(values, dict):
                raise self.bad(number, f"not an object with a {text!r}")
            for name in required:
                if name not in values:
                    raise self.bad(number, f"not an object with a {name!r}")
            yield number, values[text], values.get(identity), values.get(domain)


class JsonLines(CaptionFile):
    """One object a line."""

    def rows(self) -> Iterator[Row]:
        """A row a line; empty lines are passed over."""
        return self._of_objects(self._objects())

    def _objects(self) -> Iterator[tuple[int, Any]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    if line.strip():
                        raise self.bad(number, f"not JSON ({error})") from error


class Json(CaptionFile):
    """One JSON value, read whole: a list of objects, or COCO's captions, of which one is kept for each image."""

    unit = "item"

    def rows(self) -> Iterator[Row]:
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

    def _images(self, annotations: list[Any]) -> Iterator[Row]:
        images: dict[Any, tuple[int, list[Any]]] = {}
        for number, annotation in enumerate(annotations, start=1):
            try:
                identity, caption = annotation["image_id"], annotation["caption"]
            except (TypeError, KeyError) as error:
                raise self.bad(number, "no COCO caption, which has an 'image_id' and a 'caption'") from error
            images.setdefault(identity, (number, []))[1].append(caption)
        for identity, (number, captions) in images.items():
            yield number, captions, identity, None


class PlainText(CaptionFile):
    """One caption a line."""

    def rows(self) -> Iterator[Row]:
        """A row a line; empty lines are passed over."""
        for number, line in enumerate(self._lines(), start=1):
            if text := line.strip():
                yield number, text, None, None


class Delimited(CaptionFile):
    """CSV, quoted as Excel does it, or TSV, in which nothing is quoted."""

    def __init__(self, path: Path, columns: Columns, *, tabs: bool, header: bool) -> None:
        super().__init__(path, columns)
        self._tabs = tabs
        self._header = header

    def rows(self) -> Iterator[Row]:
        """A row a record, with the number of its last line; an empty field is none."""
        quoting = csv.QUOTE_NONE if self._tabs else csv.QUOTE_MINIMAL
        records = csv.reader(self._lines(), delimiter="\t" if self._tabs else ",", quoting=quoting, strict=True)
        try:
            first = next(filter(None, records), [])
            names = first if self._header else [str(number) for number in range(1, len(first) + 1)]
            self.columns.require(names, str(self.path))
            places = [None if name is None else names.index(name) for name in self.columns.within(names)]
            for record in records if self._header else chain([first], records):
                if not record:
                    continue
                if len(record) != len(names):
                    raise self.bad(records.line_num, f"{len(record)} fields where the first line has {len(names)}")
                text, identity, domain = (None if place is None else record[place] or None for place in places)
                yield records.line_num, text, identity, domain
        except csv.Error as error:
            raise self.bad(records.line_num, f"cannot be told apart into fields ({error})") from error


class Parquet(CaptionFile):
    """A Parquet file, of which a few thousand rows are in memory."""

    unit = "row"

    def rows(self) -> Iterator[Row]:
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


def rows_of(batch: pa.RecordBatch | pa.Table, columns: tuple[str | None, ...], first: int) -> Iterator[Row]:
    """The rows of a piece of an Arrow table, the number of its first being `first`."""
    none = [None] * len(batch)
    text, identity, domain = (none if name is None else batch[name].to_pylist() for name in columns)
    return zip(range(first, first + len(batch)), text, identity, domain, strict=True)


def open_file(path: Path, kind: Format, columns: Columns, header: bool) -> CaptionFile:
    """The file as a table; nothing is read."""
    match kind:
        case Format.jsonl:
            return JsonLines(path, columns)
        case Format.csv | Format.tsv:
            return Delimited(path, columns, tabs=kind is Format.tsv, header=header)
        case Format.parquet:
            return Parquet(path, columns)
        case Format.text:
            return PlainText(path, columns)
        case Format.json:
            return Json(path, columns)
