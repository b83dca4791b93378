"""Vectors that somebody else made: .npy, .safetensors or .parquet, mapped where the format allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from unicorn.errors import UserError

COLUMN = "embedding"
IDS = "id"


@dataclass(frozen=True, kw_only=True)
class VectorFile:
    """Vectors as they are stored, and their ids where the file has some."""

    vectors: Float[np.ndarray, "n d"]
    ids: Sequence[str] | None = None


def read_vectors(path: Path) -> VectorFile:
    """The vectors of a file: a .npy's matrix, a .safetensors' one tensor, or a .parquet's column `embedding`.

    A Parquet may have a column `id` beside it. Raises UserError, naming the file, if it is missing, of another form,
    empty, or no matrix of floating-point numbers.
    """
    readers = {".npy": _read_npy, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise UserError(f"{path} is no file of vectors: its name should end in {', '.join(readers)}.")
    if not path.is_file():
        raise UserError(f"no file of vectors at {path}. Name one that is there.")
    try:
        read = readers[path.suffix](path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} holds no vectors that can be read: {error}. Write it again.") from error
    vectors = read.vectors
    if vectors.ndim != 2 or not vectors.size or not np.issubdtype(vectors.dtype, np.floating):
        raise UserError(
            f"{path} holds an array of shape {vectors.shape} and type {vectors.dtype}, where a row of floating-point "
            "numbers is needed for each vector."
        )
    return read


def _read_npy(path: Path) -> VectorFile:
    return VectorFile(vectors=np.load(path, mmap_mode="r"))


def _read_safetensors(path: Path) -> VectorFile:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    if len(tensors) != 1:
        raise ValueError(f"it has {len(tensors)} tensors ({', '.join(tensors)}), and which is meant is not known")
    return VectorFile(vectors=next(iter(tensors.values())))


def _read_parquet(path: Path) -> VectorFile:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if COLUMN not in names:
            raise KeyError(f"it has no column {COLUMN!r}, but {', '.join(names)}")
        parts, ids = list[np.ndarray](), list[str]()
        for batch in file.iter_batches(columns=[name for name in (IDS, COLUMN) if name in names]):
            parts.append(_matrix(batch.column(COLUMN)))
            if IDS in names:
                ids += map(str, batch.column(IDS).to_pylist())
    return VectorFile(vectors=np.concatenate(parts), ids=ids if IDS in names else None)


def _matrix(column: pa.Array) -> np.ndarray:
    """Rows of a list column; they must be of one length."""
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"the rows of {COLUMN!r} are of different lengths")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), lengths.pop())
