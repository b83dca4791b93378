"""The files of a dataset: Parquet for captions and instructions, uncompressed Arrow for embeddings.

Parquet is read by row group, so that memory stays flat; an Arrow shard is one record batch, memory-mapped,
whose vectors are one contiguous matrix. Equal records make equal bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Float16, Float32

from unicorn.errors import UserError
from unicorn.records import Caption, Instruction
from unicorn.transfer.precision import widened

ROWS_PER_GROUP = 2048

CAPTION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("domain", pa.string()),
        ("generator", pa.string()),
        ("prompt_version", pa.string()),
    ]
)
MESSAGE_TYPE = pa.struct([("role", pa.string()), ("content", pa.string())])
INSTRUCTION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("caption_id", pa.string()),
        ("task", pa.string()),
        ("messages", pa.list_(MESSAGE_TYPE)),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Vectors of captions, row by row."""

    ids: Sequence[str]
    vectors: Float[np.ndarray, "n d"]

    def __len__(self) -> int:
        return len(self.ids)


def save_captions(path: Path, captions: Sequence[Caption]) -> None:
    """Write captions as Parquet."""
    _save_parquet(path, [asdict(caption) for caption in captions], CAPTION_SCHEMA)


def save_instructions(path: Path, instructions: Sequence[Instruction]) -> None:
    """Write instructions as Parquet; `messages` is a list of `{"role", "content"}`."""
    _save_parquet(path, [instruction.to_dict() for instruction in instructions], INSTRUCTION_SCHEMA)


def _save_parquet(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)


def iterate_captions(path: Path) -> Iterator[Caption]:
    """The captions of a shard, in order."""
    return (Caption(**row) for row in _iterate_parquet(path))


def iterate_instructions(path: Path) -> Iterator[Instruction]:
    """The instructions of a shard, in order."""
    return (Instruction.from_dict(row) for row in _iterate_parquet(path))


def _iterate_parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP):
                yield from batch.to_pylist()
    except OSError as error:  # told here, as whoever writes what is read would take it for an error of writing
        raise UserError(f"cannot read {path}: {error}. Restore it from a copy, or make the dataset again.") from error


def read_column(path: Path, column: str) -> pa.ChunkedArray:
    """One column of a Parquet shard."""
    return pq.read_table(path, columns=[column])[column]


def save_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write embeddings as float16 in one record batch, the form that `datasets.Dataset.from_file` maps.

    Raises UserError, naming id and row, if a vector is not finite in float16.
    """
    with np.errstate(over="ignore"):  # what float16 cannot hold is refused below
        vectors = embeddings.vectors.astype(np.float16)
    if (row := first_not_finite(widened(vectors))) is not None:
        raise UserError(f"row {row}, the vector of caption {embeddings.ids[row]}, is not finite in float16.")
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    batch = pa.record_batch({"id": pa.array(embeddings.ids, pa.string()), "embedding": values})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as stream:
        stream.write_batch(batch)


def map_embeddings(path: Path) -> tuple[pa.Array, Float16[np.ndarray, "n d"]]:
    """Ids and vectors of a shard, memory-mapped: nothing is read before it is used."""
    batch = pa.ipc.open_stream(pa.memory_map(str(path))).read_next_batch()
    column = batch.column("embedding")
    return batch.column("id"), column.values.to_numpy().reshape(len(column), column.type.list_size)


def first_not_finite(vectors: Float32[np.ndarray, "n d"]) -> int | None:
    """The first row that holds a NaN or an infinity, of vectors that float16 can hold."""
    # Their squares cannot overflow float32: a sum of them is finite exactly where its terms are.
    finite = np.isfinite(np.vecdot(vectors, vectors))
    return None if finite.all() else int(np.argmin(finite))
