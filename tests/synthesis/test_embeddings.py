"""Stage 3: vectors in the order of captions, checked one by one, with statistics of what is trained on."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.synthesis.stand_ins import (
    SETTINGS,
    HashTower,
    ListedSeeds,
    ScriptedGenerator,
    as_encoder,
    files_of,
)
from unicorn.dataset import DatasetWriter, UnicornDataset, is_training
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.embeddings import write_embeddings
from unicorn.synthesis.stage import StageReport

COUNT = 150


def of_many_lengths(request: Request) -> Result:
    number = int(request.id.removeprefix("seed-"))
    return Result(id=request.id, text=f"Thing {number} stands on {'the ' * (number * 7 % 19)}thin legs.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with DatasetWriter(tmp_path, block_size=60) as writer:
        write_captions(writer, ListedSeeds(COUNT), ScriptedGenerator(of_many_lengths), SETTINGS, 0)
    return tmp_path


def embed(folder: Path, tower: HashTower) -> StageReport:
    with DatasetWriter(folder, block_size=60) as writer:
        return write_embeddings(writer, as_encoder(tower), SETTINGS)


def spoiled_by(change: Callable[[np.ndarray], object], text: str) -> HashTower:
    """A tower that goes wrong on one caption."""

    def spoil(texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        for row, each in enumerate(texts):
            if each.startswith(text):
                change(vectors[row])
        return vectors

    return HashTower(spoil)


def test_row_i_is_the_vector_of_caption_i_in_half_precision(folder: Path) -> None:
    report = embed(folder, HashTower())
    dataset = UnicornDataset.open(folder)
    expected = HashTower().encode([caption.text for caption in dataset.captions()]).numpy()
    assert report.written == len(dataset) == COUNT
    assert dataset.space == "hash"
    np.testing.assert_array_equal(dataset.vectors(np.arange(COUNT)), expected.astype(np.float16))


def test_captions_of_like_length_are_encoded_together_long_ones_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SETTINGS, "encode_batch", 10)
    tower = HashTower()
    embed(folder, tower)
    assert [len(batch) for batch in tower.batches] == [10] * 15
    for block in (tower.batches[:6], tower.batches[6:12], tower.batches[12:]):
        lengths = [len(text) for batch in block for text in batch]
        assert lengths == sorted(lengths, reverse=True)


def test_statistics_are_of_the_training_rows_as_stored(folder: Path) -> None:
    embed(folder, HashTower())
    dataset = UnicornDataset.open(folder)
    stored = dataset.vectors(np.arange(COUNT)).astype(np.float64)
    captions = list(dataset.captions())
    trained = np.array([is_training(caption.id) for caption in captions])
    assert 0 < (~trained).sum() < COUNT / 10
    statistics = dataset.statistics
    mean = stored[trained].mean(axis=0)
    assert statistics.count == trained.sum()
    np.testing.assert_allclose(statistics.mean, mean, atol=1e-6)
    assert statistics.trace == pytest.approx(((stored[trained] - mean) ** 2).sum(axis=1).mean(), rel=1e-5)
    birds = trained & np.array([caption.domain == "birds" for caption in captions])
    np.testing.assert_allclose(statistics.domain_mean["birds"], stored[birds].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda vector: vector.__setitem__(3, np.nan), "norm nan"),
        (lambda vector: vector.__setitem__(3, np.inf), "norm inf"),
        (lambda vector: vector.__imul__(2), "norm 2.000"),
    ],
)
def test_a_bad_vector_is_named_by_its_caption(
    folder: Path, change: Callable[[np.ndarray], object], reason: str
) -> None:
    with pytest.raises(UserError, match=rf"the text tower made a vector of {reason} of caption seed-77\b"):
        embed(folder, spoiled_by(change, "Thing 77 "))


def test_vectors_of_another_length_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"vectors of shape \(\d+, 5\) of .* where 8 dimensions are expected"):
        embed(folder, HashTower(lambda _, vectors: vectors[:, :5]))


def test_finished_blocks_are_kept_and_a_finished_part_loads_no_tower(folder: Path) -> None:
    broken = spoiled_by(lambda vector: vector.__imul__(2), "Thing 77 ")
    with pytest.raises(UserError):
        embed(folder, broken)
    mended = HashTower()
    embed(folder, mended)
    assert sum(map(len, mended.batches)) == COUNT - 60
    before = files_of(folder)
    again = HashTower()
    assert embed(folder, again).written == COUNT
    assert again.loaded == 0
    assert files_of(folder) == before


def test_another_space_is_refused(folder: Path) -> None:
    embed(folder, HashTower())
    other = HashTower()
    other.space = "other"
    with pytest.raises(UserError, match="other"):
        embed(folder, other)


def test_a_run_goes_on_only_with_what_it_began_with(folder: Path) -> None:
    with pytest.raises(UserError):
        embed(folder, spoiled_by(lambda vector: vector.__imul__(2), "Thing 77 "))
    other = HashTower()
    other.made_by["context"] = 40
    with pytest.raises(UserError, match=r"made otherwise \(context was None and is 40\)"):
        embed(folder, other)
    assert other.loaded == 0


def test_captions_come_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="captions"):
        embed(tmp_path, HashTower())


def test_captions_that_the_tower_cuts_are_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    embed(folder, HashTower())
    long = sum(len(caption.text.split()) > HashTower.context for caption in UnicornDataset.open(folder).captions())
    assert caplog.messages == [
        f"{long} of {COUNT} captions ({long / COUNT:.1%}) are longer than the 5 tokens that the text tower reads, "
        "and were cut"
    ]
