"""What was written is read: through UnicornDataset, and through the libraries that people have."""

import pickle
import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataset import example
from unicorn.dataset import Part, UnicornDataset, is_training
from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.stamp import Stamp


@pytest.fixture(scope="session")
def dataset(finished: Path) -> UnicornDataset:
    return UnicornDataset.open(finished)


def test_records_come_back_in_order(dataset: UnicornDataset):
    assert list(dataset.captions()) == example.all_captions()
    assert list(dataset.instructions()) == [example.instruction(caption) for caption in example.all_captions()]
    assert dataset.ids.to_pylist() == [caption.id for caption in example.all_captions()]
    assert len(dataset) == dataset.count(Part.CAPTIONS) == dataset.count(Part.INSTRUCTIONS) == 90


@settings(deadline=None)
@given(rows=st.lists(st.integers(0, 89), max_size=40))
def test_vectors_are_those_of_the_rows_in_any_order_repeated_or_not(dataset: UnicornDataset, rows: list[int]):
    wanted = np.array(rows, np.int64)
    found = dataset.vectors(wanted)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, example.all_vectors()[wanted].astype(np.float32))
    assert dataset.domains(wanted) == [example.all_captions()[row].domain for row in rows]


@pytest.mark.parametrize("wrap", [list, pa.array])
def test_rows_are_found_by_id(dataset: UnicornDataset, wrap: type):
    rows = np.array([89, 0, 40, 40])
    ids = [example.all_captions()[row].id for row in rows]
    np.testing.assert_array_equal(dataset.rows(wrap(ids)), rows)


@settings(deadline=None)
@given(rows=st.lists(st.integers(0, 89)))
def test_any_rows_are_found_by_their_ids(dataset: UnicornDataset, rows: list[int]):
    ids = [example.all_captions()[row].id for row in rows]
    assert dataset.rows(ids).tolist() == rows


def test_a_file_that_is_gone_while_another_is_written_is_an_error_of_reading(finished: Path, tmp_path: Path):
    dataset = UnicornDataset.open(shutil.copytree(finished, tmp_path / "copy"))
    Part.CAPTIONS.shard(dataset.path, 1).unlink()
    reading = pytest.raises(UserError, match=r"cannot read .*/captions-00001\.parquet: .* make the dataset again\.")
    with reading, replacing(tmp_path / "file"):
        list(dataset.captions())


def test_a_missing_id_is_named(dataset: UnicornDataset):
    with pytest.raises(UserError, match=r"2 ids are of no caption in .*, the first of them nobody\."):
        dataset.rows(["scene/0001", "nobody", "scene/0002", "either"])


def test_statistics_are_those_of_the_training_captions(dataset: UnicornDataset):
    training = np.array([is_training(caption.id) for caption in example.all_captions()])
    assert 0 < (~training).sum() < 10
    np.testing.assert_array_equal(dataset.training_mask, training)
    chosen = example.all_vectors()[training].astype(np.float64)
    assert dataset.statistics.count == training.sum()
    assert dataset.statistics.normalised
    np.testing.assert_allclose(dataset.statistics.mean, chosen.mean(axis=0), atol=1e-7)
    assert dataset.statistics.trace == pytest.approx(chosen.var(axis=0).sum())
    days = [caption.domain == "day" for caption in example.all_captions()]
    assert dataset.statistics.domain_count["day"] == (training & days).sum()
    assert (dataset.space, dataset.dimension) == (example.SPACE, example.DIMENSION)


def test_chunks_are_the_training_vectors_and_may_be_read_again(dataset: UnicornDataset):
    chunks = dataset.chunks(size=32)
    for _ in range(2):
        read = list(chunks)
        assert {len(chunk) for chunk in read[:-1]} == {32}
        expected = example.all_vectors()[dataset.training_mask].astype(np.float32)
        np.testing.assert_array_equal(np.concatenate(read), expected)


def test_shards_are_all_vectors_as_they_are_stored(dataset: UnicornDataset):
    assert len(dataset.shards) > 1
    np.testing.assert_array_equal(np.concatenate(dataset.shards), example.all_vectors())
    assert not any(shard.flags.owndata or shard.flags.writeable for shard in dataset.shards)  # mapped, not read


def test_the_split_is_two_percent_and_never_moves():
    held_out = [name for name in map(str, range(50_000)) if not is_training(name)]
    assert len(held_out) == pytest.approx(1000, rel=0.1)
    assert held_out[:4] == ["63", "66", "193", "223"]


def test_datasets_reads_what_the_card_names(finished: Path, tmp_path: Path):
    loaded = datasets.load_dataset(str(finished), "captions", cache_dir=str(tmp_path))["train"]
    assert loaded["id"][:] == [caption.id for caption in example.all_captions()]
    loaded = datasets.load_dataset(str(finished), "instructions", cache_dir=str(tmp_path))["train"]
    assert loaded[0] == example.instruction(example.all_captions()[0]).to_dict()


def test_datasets_maps_an_embedding_shard(finished: Path):
    shard = datasets.Dataset.from_file(str(Part.EMBEDDINGS.shard(finished, 1))).with_format("numpy")
    np.testing.assert_array_equal(shard["embedding"][:], example.vectors(1))
    assert list(shard["id"][:]) == [caption.id for caption in example.captions(1)]


def test_vectors_are_mapped_not_read(dataset: UnicornDataset):
    before = pa.total_allocated_bytes()
    UnicornDataset.open(dataset.path, verify=False)
    assert pa.total_allocated_bytes() - before < 1024


def test_a_dataset_travels_as_its_path(dataset: UnicornDataset):
    content = pickle.dumps(dataset)
    assert len(content) < 1000
    assert pickle.loads(content).vectors(np.array([5])).tolist() == dataset.vectors(np.array([5])).tolist()


def test_a_vector_that_is_not_finite_is_named_by_id_and_row(folder: Path):
    path = Part.EMBEDDINGS.shard(folder, 1)
    content, vector = path.read_bytes(), example.vectors(1)[7]
    damaged = vector.copy()
    damaged[3] = np.nan
    assert content.count(vector.tobytes()) == 1
    path.write_bytes(content.replace(vector.tobytes(), damaged.tobytes()))
    dataset = UnicornDataset.open(folder, verify=False)
    row = len(example.captions(0)) + 7
    with pytest.raises(UserError, match=rf"row {row} of .*{example.captions(1)[7].id}, is not finite\.$"):
        dataset.vectors(np.array([0, 80, row]))
    with pytest.raises(UserError, match=f"row {row} of"):
        list(dataset.chunks())
    dataset.vectors(np.array([row - 1, row + 1]))


def test_a_missing_dataset_says_what_to_run(tmp_path: Path):
    with pytest.raises(UserError, match=re.escape(f"no dataset at {tmp_path}: run `python synthesize.py")):
        UnicornDataset.open(tmp_path)


def test_an_unfinished_part_is_named(tmp_path: Path):
    with example.DatasetWriter(tmp_path, example.BLOCK_SIZE) as writer:
        example.write_captions(writer)
        writer.instructions({}).write(0, [])
        with pytest.raises(
            UserError, match=r"the embeddings of .* are missing: run `python synthesize\.py .*` to make them"
        ):
            UnicornDataset.open(tmp_path)
        example.write_embeddings(writer)
    dataset = UnicornDataset.open(tmp_path)
    for ask in (dataset.instructions, lambda: dataset.count(Part.INSTRUCTIONS)):
        with pytest.raises(UserError, match=r"the instructions of .* are unfinished"):
            ask()


def test_the_manifest_stamps_every_shard(dataset: UnicornDataset):
    for part, entry in dataset.manifest.parts.items():
        assert entry.complete
        assert list(entry.shards) == [0, 1, 2]
        for block, shard in entry.shards.items():
            assert shard.stamp == Stamp.of(part.shard(dataset.path, block))
