"""The texts of a dataset, its captions and instructions, streamed, whether or not there are vectors yet."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.shards import ROWS_PER_GROUP, iterate_captions, iterate_instructions
from unicorn.records import Caption, Instruction


class Texts:
    """Captions and, where they are finished, instructions. Memory stays flat, however many there are."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `open`."""
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path) -> Self:
        """The texts of a dataset's folder, every byte of them checked.

        Raises UserError if there is no dataset, its captions are unfinished, or, naming the file, one is not as it was
        written.
        """
        manifest = Manifest.of_dataset(path)
        manifest.require_complete(path, Part.CAPTIONS)
        texts = cls(path, manifest)
        for part in (Part.CAPTIONS, Part.INSTRUCTIONS):
            if texts.count(part) is not None:
                manifest.check(path, part, checksums=True)
        return texts

    def count(self, part: Part) -> int | None:
        """Records of a part; None if it is missing or unfinished."""
        entry = self.manifest.parts.get(part)
        return entry.rows if entry and entry.complete else None

    def blocks(self) -> list[int]:
        """The blocks of the captions, in order."""
        return sorted(self.manifest.parts[Part.CAPTIONS].shards)

    def captions(self, block: int) -> Iterator[Caption]:
        """The captions of a block, in order."""
        return iterate_captions(Part.CAPTIONS.shard(self.path, block))

    def instructions(self, block: int) -> Iterator[Instruction]:
        """The instructions of the captions of a block, in their order; none if the part is not finished."""
        finished = self.count(Part.INSTRUCTIONS) is not None
        return iterate_instructions(Part.INSTRUCTIONS.shard(self.path, block)) if finished else iter(())

    def batches(self, part: Part, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of a finished part, a few thousand rows at a time, in order."""
        for block in sorted(self.manifest.parts[part].shards):
            with pq.ParquetFile(part.shard(self.path, block)) as file:
                yield from file.iter_batches(ROWS_PER_GROUP, columns=list(columns))
