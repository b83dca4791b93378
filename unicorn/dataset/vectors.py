"""Vectors that somebody else made: .npy, which is mapped, .safetensors or .parquet, which are read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from unicorn.errors import UserError

COLUMN = "embedding"
ID = "id"
_ROWS_AT_ONCE = 4096


def read_vectors(path: Path) -> Float[np.ndarray, "n d"]:
    """The vectors of a file: a .npy's matrix, a .safetensors' one tensor, or a .parquet's column `embedding`.

    Raises UserError, naming the file, if it is missing, of another form, empty, or no matrix of floating-point numbers.
    """
    readers = {".npy": _read_npy, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise UserError(f"{path} is no file of vectors: its name should end in {', '.join(readers)}.")
    if not path.is_file():
        raise UserError(f"no file of vectors at {path}. Name one that is there.")
    try:
        vectors = readers[path.suffix](path)
    except (OSError, ValueError, EOFError, TypeError) as error:  # as the three libraries say that they cannot
        raise UserError(
            f"{path} holds no vectors that can be read: {error}. Write it again, in float16 or float32."
        ) from error
    if vectors.ndim != 2 or not vectors.size or not np.issubdtype(vectors.dtype, np.floating):
        raise UserError(
            f"{path} holds an array of shape {vectors.shape} and type {vectors.dtype}, where a row of floating-point "
            "numbers is needed for each vector."
        )
    return vectors


def read_ids(path: Path) -> list[str] | None:
    """The column `id` of a .parquet of vectors, row by row; None for files of another form, which have none.

    Texts of any of Arrow's types, or whole numbers, as texts. Raises UserError, naming the file and the row, if the
    column is missing, holds anything else, or names an id twice.
    """
    if path.suffix != ".parquet":
        return None
    with pq.ParquetFile(path) as file:
        if ID not in file.schema_arrow.names or not _names(file.schema_arrow.field(ID).type):
            raise UserError(f"{path} has no column {ID!r} of texts: it says whose vector each row is. Write it again.")
        column = file.read(columns=[ID])[ID].to_pylist()
    ids = [None if name is None else str(name) for name in column]
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name is None or name in seen:
            raise UserError(
                f"{path}, row {row}: the id {name!r} is null, or that of an earlier row, too. Mend the file."
            )
        seen.add(name)
    return [name for name in ids if name is not None]


def _names(kind: pa.DataType) -> bool:
    """Whether a column of that type can name rows."""
    if pa.types.is_dictionary(kind):
        return _names(kind.value_type)
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    )


def _read_npy(path: Path) -> np.ndarray:
    found = np.load(path, mmap_mode="r")
    if not isinstance(found, np.ndarray):  # np.load tells a .npz by its content
        raise ValueError("it is an archive (.npz), and no array")
    return found


def _read_safetensors(path: Path) -> np.ndarray:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, AttributeError) as error:  # the latter for a type that NumPy has not, as float8
        raise ValueError(str(error)) from error
    if len(tensors) != 1:
        raise ValueError(f"it has {len(tensors)} tensors ({', '.join(tensors)}), and which is meant is not known")
    return next(iter(tensors.values()))


def _read_parquet(path: Path) -> np.ndarray:
    """One array that is filled a few rows at a time; mapped, as of a file that is read each column is kept."""
    with pq.ParquetFile(path, memory_map=True) as file:
        if COLUMN not in (names := file.schema_arrow.names):
            raise ValueError(f"it has no column {COLUMN!r}, but {', '.join(names)}")
        kind = file.schema_arrow.field(COLUMN).type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
            raise ValueError(f"its column {COLUMN!r} is of {kind}, where each row should be a list of numbers")
        vectors, first = None, 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[COLUMN]):
            part = _matrix(batch.column(COLUMN))
            if vectors is None:
                vectors = np.empty((file.metadata.num_rows, part.shape[1]), part.dtype)
            if part.shape[1] != vectors.shape[1]:
                raise ValueError(f"the rows of {COLUMN!r} are of different lengths")
            vectors[first : first + len(part)] = part
            first += len(part)
    if vectors is None:
        raise ValueError("it has no rows")
    return vectors


def _matrix(column: pa.Array) -> np.ndarray:
    """Rows of a list column; they must be of one length."""
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"the rows of {COLUMN!r} are of different lengths, or missing")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), lengths.pop())
