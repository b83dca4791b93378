"""Vectors that somebody has already become the embeddings of a dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from tests.synthesis.stand_ins import SETTINGS, ListedSeeds, ScriptedGenerator, good_answer
from unicorn.dataset import DatasetWriter, UnicornDataset
from unicorn.dataset.vectors import read_ids
from unicorn.errors import UserError
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.imported import import_embeddings
from unicorn.synthesis.settings import VectorsSettings

COUNT, DIMENSION = 150, 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with DatasetWriter(tmp_path / "data", block_size=60) as writer:
        write_captions(writer, ListedSeeds(COUNT), ScriptedGenerator(good_answer), SETTINGS, 0)
    return tmp_path / "data"


@pytest.fixture
def vectors() -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(COUNT, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def load(folder: Path, path: Path) -> UnicornDataset:
    with DatasetWriter(folder, block_size=60) as writer:
        report = import_embeddings(writer, VectorsSettings(path=str(path), encoder="theirs"))
    dataset = UnicornDataset.open(folder)
    assert report.written == len(dataset)
    return dataset


def save_parquet(path: Path, ids: list[str | None], vectors: np.ndarray) -> Path:
    pq.write_table(pa.table({"id": pa.array(ids, pa.string()), "embedding": list(vectors)}), path)
    return path


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_rows_without_ids_are_in_the_order_of_the_captions(folder: Path, vectors: np.ndarray, suffix: str) -> None:
    path = folder.parent / f"v.{suffix}"
    if suffix == "npy":
        np.save(path, vectors)
    else:
        save_file({"v": vectors}, path)
    dataset = load(folder, path)
    assert dataset.space == "theirs"
    np.testing.assert_allclose(dataset.vectors(np.arange(COUNT)), vectors, atol=1e-3)


def test_rows_of_parquet_are_found_by_id(folder: Path, vectors: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(COUNT)
    ids: list[str | None] = [f"seed-{row}" for row in order]
    path = save_parquet(folder.parent / "v.parquet", [*ids, "another"], np.concatenate([vectors[order], vectors[:1]]))
    dataset = load(folder, path)
    expected = [vectors[int(caption.id.removeprefix("seed-"))] for caption in dataset.captions()]
    np.testing.assert_allclose(dataset.vectors(np.arange(COUNT)), expected, atol=1e-3)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.int64()], ids=str
)
def test_ids_are_texts_of_any_type_or_whole_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    names: list[Any] = [3, 1, 2] if pa.types.is_integer(kind) else ["b", "a", "c"]
    path = tmp_path / "v.parquet"
    ids = pa.array(names).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(names, kind)
    pq.write_table(pa.table({"id": ids, "embedding": [[0.6, 0.8]] * 3}), path)
    assert read_ids(path) == [str(name) for name in names]


def test_other_norms_are_scaled_and_told(folder: Path, vectors: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    lengths = np.where(np.arange(COUNT) < 20, 7, 1)[:, None]
    np.save(folder.parent / "v.npy", vectors * lengths)
    np.testing.assert_allclose(load(folder, folder.parent / "v.npy").vectors(np.arange(COUNT)), vectors, atol=1e-3)
    assert caplog.messages == [
        f"20 of the 150 vectors in {folder.parent / 'v.npy'} were not of norm 1, and were scaled to it"
    ]


def test_again_it_changes_nothing_and_another_file_is_refused(folder: Path, vectors: np.ndarray) -> None:
    path = folder.parent / "v.npy"
    np.save(path, vectors)
    load(folder, path)
    before = {each: each.read_bytes() for each in (folder / "embeddings").iterdir()}
    load(folder, path)
    assert {each: each.read_bytes() for each in (folder / "embeddings").iterdir()} == before
    np.save(path, vectors[::-1])
    with pytest.raises(UserError, match=r"the embeddings of .* were made otherwise \(imported was"):
        load(folder, path)


def test_what_does_not_fit_is_named(folder: Path, vectors: np.ndarray) -> None:
    path = folder.parent / "v.npy"
    np.save(path, vectors[:-1])
    with pytest.raises(
        UserError, match=r"v\.npy holds 149 vectors, and there are 150 captions\. Without ids there must"
    ):
        load(folder, path)
    for value in (np.nan, 0):
        spoiled = vectors.copy()
        spoiled[77] = value
        np.save(path, spoiled)
        with pytest.raises(
            UserError, match=r"the vector of caption seed-77 has norm \S+, which points nowhere\. Mend it"
        ):
            load(folder, path)
    ids: list[str | None] = [f"seed-{row}" for row in range(COUNT)]
    path = save_parquet(folder.parent / "v.parquet", ids[:70] + ids[72:], np.delete(vectors, [70, 71], axis=0))
    with pytest.raises(
        UserError,
        match=r"has no vector of caption seed-70 \(and 1 more of its block\)\. Add a row under each caption's id",
    ):
        load(folder, path)


def test_ids_that_say_nothing_are_named(folder: Path, vectors: np.ndarray) -> None:
    ids: list[str | None] = [f"seed-{row}" for row in range(COUNT)]
    for row, name in ((5, None), (9, "seed-3")):
        path = save_parquet(folder.parent / "v.parquet", [*ids[:row], name, *ids[row + 1 :]], vectors)
        with pytest.raises(
            UserError, match=rf"row {row}: the id {name!r} is null, or that of an earlier row, too\. Mend"
        ):
            load(folder, path)
    for columns in ({}, {"id": np.arange(COUNT) / 2}):
        pq.write_table(pa.table(columns | {"embedding": list(vectors)}), folder.parent / "v.parquet")
        with pytest.raises(
            UserError, match=r"has no column 'id' of texts: it says whose vector each row is\. Write it again"
        ):
            load(folder, folder.parent / "v.parquet")


def test_a_file_without_a_name_of_its_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"synthesis\.vectors\.encoder what made it: name both, or neither"):
        VectorsSettings(path="v.npy")
