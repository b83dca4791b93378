"""Seeds from a dataset of the Hub, or from one of its kind on disk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError, in_a_line
from unicorn.seeds.columns import Columns
from unicorn.seeds.corpus import Corpus
from unicorn.seeds.filter import FilterSettings
from unicorn.seeds.formats import rows_of
from unicorn.seeds.rows import Flawed, Row

if TYPE_CHECKING:
    from datasets import Dataset

_AT_ONCE = 8192


@dataclass(kw_only=True)
class HubSeedsSettings:
    """`name` of a dataset of the Hub, or its folder, as `save_to_disk` or a download leaves it; `split` of it.

    `config` and `revision` are needed where there are several; `domain` is that of the rows that name none. It is
    fetched once, into the cache of `datasets`, and from there on mapped into memory.
    """

    name: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    columns: Columns = field(default_factory=Columns)
    domain: str = "open"
    filter: FilterSettings = field(default_factory=FilterSettings)

    def build(self) -> Corpus:
        """Fetch and check the split. Raises UserError if it cannot be had, or a row of it is bad."""
        split = HubSplit(self)
        return Corpus(split.source, [split], self.domain, self.filter.build())


class HubSplit:
    """A split, as a table of a corpus."""

    def __init__(self, settings: HubSeedsSettings) -> None:
        """Raises UserError if there is no such dataset, split or column."""
        self._settings = settings
        where = f"{settings.name} ({settings.split})"
        data = load_split(settings.name, settings.config, settings.split, settings.revision)
        settings.columns.require(data.column_names, where)
        self._columns = settings.columns.within(data.column_names)
        self._rows = data.select_columns([*{name for name in self._columns if name is not None}])
        self._labels = class_names(self._rows, self._columns[2]) if self._columns[2] else []

    @property
    def source(self) -> str:
        """The dataset's name."""
        return Path(self._settings.name).name

    def rows(self) -> Iterator[Row | Flawed]:
        """The rows; a class label is given by its name."""
        number = 0
        for batch in self._rows.with_format("arrow").iter(_AT_ONCE):
            rows = rows_of(cast("Any", batch), self._columns, number)
            yield from map(self._named, rows) if self._labels else rows
            number += len(cast("Any", batch))

    def _named(self, row: Row | Flawed) -> Row | Flawed:
        """A row, its class by its name; -1: nobody has said which."""
        if isinstance(row, Flawed):
            return row
        number, text, identity, label = row
        return number, text, identity, None if label is None or label < 0 else self._labels[label]

    def place(self, number: int) -> str:
        """The dataset, the split and the row, from 0."""
        return f"{self.source} ({self._settings.split}), row {number}"

    def bad(self, number: int, reason: str) -> UserError:
        """The line for a row that is not as it should be."""
        return UserError(
            f"{self._settings.name} ({self._settings.split}), row {number}: {reason}. "
            "Choose other seeds.columns, or a dataset without such rows."
        )


def load_split(dataset: str, config: str | None, split: str, revision: str | None) -> "Dataset":
    """A split of a dataset, mapped into memory. Raises UserError if it cannot be had."""
    from datasets import DatasetDict, load_dataset, load_from_disk

    try:
        folder = Path(dataset)
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            saved = load_from_disk(dataset)
            return saved[split] if isinstance(saved, DatasetDict) else saved
        return load_dataset(dataset, config, split=split, revision=revision)
    except Exception as error:  # of the network, the Hub, the dataset's own files: any
        raise UserError(
            f"no split {split!r} of the dataset {dataset} can be had ({in_a_line(error)}). "
            "Mend its name, config=, split= or revision=."
        ) from error


def class_names(data: "Dataset", column: str) -> list[str]:
    """The names of a column's classes; none if it is no ClassLabel."""
    from datasets import ClassLabel

    feature = data.features[column]
    return list(feature.names) if isinstance(feature, ClassLabel) else []
