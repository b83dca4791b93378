"""Files of vectors that somebody else made."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from unicorn.dataset.vectors import read_vectors
from unicorn.errors import UserError


def save_parquet(path: Path, vectors: np.ndarray, group: int) -> Path:
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    pq.write_table(pa.table({"embedding": column}), path, row_group_size=group)
    return path


@pytest.mark.parametrize("precision", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("group", [100, 5000, 20_000])
def test_a_parquet_of_many_rows_is_whole_and_in_order(tmp_path: Path, precision: type[np.floating], group: int):
    vectors = np.random.default_rng(0).normal(size=(9001, 3)).astype(precision)
    found = read_vectors(save_parquet(tmp_path / "v.parquet", vectors, group))
    assert found.dtype == precision
    np.testing.assert_array_equal(found, vectors)


def test_a_parquet_of_many_rows_is_not_held_twice(tmp_path: Path):
    vectors = np.random.default_rng(0).normal(size=(60_000, 128)).astype(np.float32)
    path = save_parquet(tmp_path / "v.parquet", vectors, len(vectors))
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        read_vectors(path)
        peak = tracemalloc.get_traced_memory()[1] + counted.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    assert peak < 1.5 * vectors.nbytes


def test_rows_of_two_lengths_in_two_groups_are_refused(tmp_path: Path):
    rows = [[1.0, 2.0]] * 5000 + [[1.0, 2.0, 3.0]] * 5000
    pq.write_table(pa.table({"embedding": rows}), tmp_path / "v.parquet", row_group_size=5000)
    with pytest.raises(
        UserError, match=r"v\.parquet holds no vectors .*the rows of 'embedding' are of different lengths"
    ):
        read_vectors(tmp_path / "v.parquet")


def test_an_archive_of_arrays_under_another_name_is_refused(tmp_path: Path):
    np.savez(tmp_path / "v.npz", np.ones((3, 2)))
    path = (tmp_path / "v.npz").rename(tmp_path / "v.npy")
    with pytest.raises(UserError, match=r"v\.npy holds no vectors .*: it is an archive \(\.npz\), and no array"):
        read_vectors(path)


def test_a_type_that_numpy_has_not_is_refused(tmp_path: Path):
    save_file({"a": torch.ones(3, 2).to(torch.float8_e4m3fn)}, tmp_path / "v.safetensors")
    with pytest.raises(UserError, match=r"v\.safetensors holds no vectors that can be read: .*float8.*Write it again"):
        read_vectors(tmp_path / "v.safetensors")
