"""Seeds from datasets, as the Hub keeps them and as `save_to_disk` does."""

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from datasets import config

from unicorn.errors import UserError
from unicorn.records import Seed
from unicorn.seeds.columns import Columns
from unicorn.seeds.hub import HubSeedsSettings

FEATURES = datasets.Features(
    {
        "caption": datasets.Value("string"),
        "image_id": datasets.Value("int64"),
        "kind": datasets.ClassLabel(names=["animals", "food"]),
        "pixels": datasets.Sequence(datasets.Value("uint8")),
    }
)
COLUMNS = Columns(text="caption", id="image_id", domain="kind")


def made(captions: list[object]) -> datasets.Dataset:
    count = len(captions)
    values = {"caption": captions, "image_id": [*range(count)], "kind": [i % 2 for i in range(count)]}
    return datasets.Dataset.from_dict(values | {"pixels": [[1, 2]] * count}, FEATURES)


def repository(folder: Path, data: datasets.Dataset) -> None:
    data.to_parquet(folder / "train.parquet")


def one_split(folder: Path, data: datasets.Dataset) -> None:
    data.save_to_disk(folder)


def all_splits(folder: Path, data: datasets.Dataset) -> None:
    datasets.DatasetDict({"train": data, "test": data.select([0])}).save_to_disk(folder)


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("kind", [repository, one_split, all_splits])
def test_a_split_gives_its_rows(kind: Callable[[Path, datasets.Dataset], None], tmp_path: Path) -> None:
    kind(tmp_path / "captions", made(["a cat", " a pie "]))
    seeds = HubSeedsSettings(name=str(tmp_path / "captions"), columns=COLUMNS).build()
    assert list(seeds) == [
        Seed(id="0", text="a cat", source="captions", domain="animals"),
        Seed(id="1", text="a pie", source="captions", domain="food"),
    ]
    assert len(seeds) == 2


def test_a_row_without_a_class_has_the_domain_of_all(tmp_path: Path) -> None:
    rows = {"caption": ["a cat", "a pie"], "image_id": [7, 8], "kind": [-1, None], "pixels": [[1], [2]]}
    one_split(tmp_path / "captions", datasets.Dataset.from_dict(rows, FEATURES))
    seeds = HubSeedsSettings(name=str(tmp_path / "captions"), columns=COLUMNS, domain="misc").build()
    assert [(seed.id, seed.domain) for seed in seeds] == [("7", "misc"), ("8", "misc")]


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    one_split(tmp_path / "captions", made(["a cat", None]))
    with pytest.raises(UserError, match=r"captions \(train\), row 1: 'text' is not .* Choose other seeds.columns, or"):
        HubSeedsSettings(name=str(tmp_path / "captions"), columns=COLUMNS).build()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "nothing/here"}, r"no split 'train' of the dataset .*nothing/here can be had \("),
        ({"split": "dev"}, r"no split 'dev' of the dataset .* Mend its name, config=, split= or revision="),
        ({"columns": Columns()}, r"\(train\) has no column 'text', but 'caption', 'image_id', 'kind'"),
    ],
)
def test_what_is_not_there_is_named(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    all_splits(tmp_path / "captions", made(["a cat"]))
    settings = {"name": "captions", "columns": COLUMNS} | changes
    settings["name"] = str(tmp_path / str(settings["name"]))
    with pytest.raises(UserError, match=message):
        HubSeedsSettings(**settings).build()  # pyright: ignore[reportArgumentType]
