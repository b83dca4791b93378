"""Reading a dataset: checked once, then memory-mapped; a caption is a row, and a row is found by its id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float16, Float32, Int64

from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.shards import (
    first_not_finite,
    iterate_captions,
    iterate_instructions,
    map_embeddings,
    read_column,
)
from unicorn.dataset.split import is_training
from unicorn.errors import UserError
from unicorn.records import Caption, Instruction
from unicorn.transfer.precision import widened
from unicorn.transfer.statistics import Statistics


class UnicornDataset:
    """A finished dataset. Rows are those of the captions, 0 to len - 1, over all shards.

    Captions, vectors and their statistics are there; instructions may be, and whoever wants them asks.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `open`."""
        self.path = path
        self.manifest = manifest
        self.statistics = Statistics.load(path / Part.EMBEDDINGS)
        shards = [map_embeddings(shard) for shard in self._shards(Part.EMBEDDINGS)]
        self.ids: pa.ChunkedArray = pa.chunked_array([ids for ids, _ in shards], pa.string())
        self._matrices: list[Float16[np.ndarray, "n d"]] = [vectors for _, vectors in shards]
        self._offsets: Int64[np.ndarray, " shards"] = np.cumsum([0, *map(len, self._matrices)])

    @classmethod
    def open(cls, path: Path | str, verify: bool = True) -> Self:
        """The dataset of a folder; `verify` reads every file of it and compares checksums.

        Raises UserError if there is none, if it is unfinished, or, naming the file, if a file is missing,
        truncated, corrupt, or made from other captions.
        """
        path = Path(path)
        manifest = Manifest.of_dataset(path)
        for part in (Part.CAPTIONS, Part.EMBEDDINGS):
            manifest.require_complete(path, part)
        for part in manifest.parts:
            manifest.check(path, part, checksums=verify)
        return cls(path, manifest)

    def __reduce__(self) -> tuple[Any, ...]:
        """A dataset travels to another process as its path, never as its content."""
        return type(self).open, (self.path, False)

    def __len__(self) -> int:
        """Number of captions."""
        return int(self._offsets[-1])

    @property
    def space(self) -> str:
        """Name of the embedding space of the vectors."""
        return self.statistics.space

    def require_space(self, space: str) -> None:
        """Raise UserError, naming both, if the vectors are of another embedding space than `space`."""
        if self.space != space:
            raise UserError(
                f"the vectors of {self.path} were made by the encoder {self.space}, and the encoder chosen is {space}. "
                f"Choose that encoder (of imported vectors: encoder=declared encoder.space={self.space}), or another "
                "dataset=."
            )

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return len(self.statistics.mean)

    def count(self, part: Part) -> int:
        """Records of a part. Raises UserError if the part is missing or unfinished."""
        self.manifest.require_complete(self.path, part)
        return self.manifest.parts[part].rows

    def captions(self) -> Iterator[Caption]:
        """All captions in row order, streamed."""
        return (caption for shard in self._shards(Part.CAPTIONS) for caption in iterate_captions(shard))

    def instructions(self) -> Iterator[Instruction]:
        """All instructions in the order of their captions, streamed.

        Raises UserError, before the first, if the part is missing or unfinished.
        """
        self.manifest.require_complete(self.path, Part.INSTRUCTIONS)
        return (item for shard in self._shards(Part.INSTRUCTIONS) for item in iterate_instructions(shard))

    def _shards(self, part: Part) -> list[Path]:
        return [part.shard(self.path, block) for block in self.manifest.parts[part].shards]

    def rows(self, ids: Sequence[str] | pa.Array) -> Int64[np.ndarray, " n"]:
        """The rows of captions. Ask for many at once: each call looks at every id of the dataset.

        Raises UserError, naming the first id that is not there.
        """
        wanted = pa.array(ids, pa.string()).dictionary_encode()
        # Those that are wanted are hashed, and not all there are.
        place = pc.index_in(self.ids, value_set=wanted.dictionary)  # pyright: ignore[reportAttributeAccessIssue] (made on import)
        row_of = np.full(len(wanted.dictionary), -1)
        row_of[place.drop_null().to_numpy()] = np.flatnonzero(place.is_valid())
        pa.default_memory_pool().release_unused()  # what the hashes took: 100 MB for a million ids
        if len(missing := np.flatnonzero(row_of < 0)):
            first = wanted.dictionary[int(missing[0])]
            raise UserError(f"{len(missing)} ids are of no caption in {self.path}, the first of them {first}.")
        return row_of[wanted.indices.to_numpy()]

    def vectors(self, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """The raw vectors of rows, in any order, repeated or not, from the mapped files.

        Raises UserError, naming id and row, if one is not finite.
        """
        shards = np.searchsorted(self._offsets, rows, side="right") - 1
        within = rows - self._offsets[shards]
        # Neighbours are copied as one run: all rows in one piece as they lie, one by one where they are shuffled.
        parted = (rows[1:] != rows[:-1] + 1) | (shards[1:] != shards[:-1])
        starts = np.flatnonzero(np.concatenate([[len(rows) > 0], parted]))
        lengths = np.diff(starts, append=len(rows))
        places = zip(shards[starts].tolist(), within[starts].tolist(), lengths.tolist(), strict=True)
        runs = [self._matrices[shard][first : first + length] for shard, first, length in places]
        vectors = widened(runs[0] if len(runs) == 1 else np.concatenate([self._matrices[0][:0], *runs]))
        if (bad := first_not_finite(vectors)) is not None:
            row = int(rows[bad])
            raise UserError(f"row {row} of {self.path}, the vector of caption {self.ids[row]}, is not finite.")
        return vectors

    def domains(self, rows: Int64[np.ndarray, " n"]) -> list[str]:
        """The domains of the captions at rows."""
        return self._domains.take(rows).to_pylist()

    @cached_property
    def _domains(self) -> pa.DictionaryArray:
        columns = [read_column(shard, "domain") for shard in self._shards(Part.CAPTIONS)]
        chunks = [chunk for column in columns for chunk in column.chunks]
        return pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()

    @cached_property
    def training_mask(self) -> Bool[np.ndarray, " n"]:
        """Which captions are trained on."""
        return np.array([is_training(name) for ids in self.ids.chunks for name in ids.to_pylist()], dtype=bool)

    @property
    def shards(self) -> Sequence[Float16[np.ndarray, "n d"]]:
        """The raw vectors as they are stored, shard by shard; mapped, and not checked for what is not finite."""
        return self._matrices

    def chunks(self, size: int = 1024) -> "VectorChunks":
        """The raw training vectors in row order, `size` at a time; may be iterated again."""
        return VectorChunks(dataset=self, rows=np.flatnonzero(self.training_mask), size=size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorChunks:
    """The vectors of some rows in chunks; every iteration reads them anew."""

    dataset: UnicornDataset
    rows: Int64[np.ndarray, " n"]
    size: int

    def __iter__(self) -> Iterator[Float32[np.ndarray, "n d"]]:
        for start in range(0, len(self.rows), self.size):
            yield self.dataset.vectors(self.rows[start : start + self.size])
