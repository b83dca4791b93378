"""Parquet files that hold pictures' bytes, alone or as `datasets` keeps them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unicorn.errors import UserError, in_a_line
from unicorn.pictures.columns import Columns
from unicorn.pictures.decoding import DecodingSettings
from unicorn.pictures.sieve import Encoded, Sieve

_ROWS = 64  # read at a time: tens of megabytes of photos


@dataclass(kw_only=True)
class ParquetSettings:
    """`path` of a file, or of a folder of them, which are read in the order of their names."""

    path: str
    columns: Columns = field(default_factory=Columns)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)

    def build(self) -> Sieve:
        """Raises UserError if there is no such file, it is no Parquet, or a column is not there."""
        return Sieve(ParquetStore(Path(self.path), self.columns), self.decoding)


class ParquetStore:
    """The rows of Parquet files."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self._path = path
        self._columns = columns
        self._files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not (self._files and self._files[0].is_file()):
            raise UserError(f"no pictures at {path}: no Parquet file is there. Set pictures.path to one, or a folder.")
        for file in self._files:
            try:
                columns.require(pq.read_schema(file).names, str(file))
            except (pa.ArrowException, OSError) as error:
                raise _damaged(file, error) from error

    @property
    def name(self) -> str:
        """Their path."""
        return str(self._path)

    def encoded(self) -> Iterator[Encoded]:
        """The rows, file by file. Raises UserError where a file is damaged."""
        number = 0
        for file in self._files:
            try:
                with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
                    for batch in table.iter_batches(_ROWS, columns=self._columns.chosen):
                        for row in batch.to_pylist():
                            yield self._columns.encoded(row, number)
                            number += 1
            except (pa.ArrowException, OSError) as error:
                raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} cannot be read as Parquet ({in_a_line(error)}). Fetch it again, or remove it.")
