"""A dataset of the Hub, or one of its kind on disk, streamed by `datasets`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError, in_a_line
from unicorn.pictures.columns import Columns
from unicorn.pictures.decoding import DecodingSettings
from unicorn.pictures.sieve import Encoded, Sieve

if TYPE_CHECKING:
    from datasets import IterableDataset


@dataclass(kw_only=True)
class HubSettings:
    """`name` of a dataset, or of its folder; `config` and `revision` of it, where it has several; `split` of those.

    It is streamed: nothing is kept on disk, and of Parquet one row group in memory. A class label is given by name.
    """

    name: str
    config: str | None = None
    split: str = "test"
    revision: str | None = None
    columns: Columns = field(default_factory=Columns)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)

    def build(self) -> Sieve:
        """Raises UserError if there is no such dataset, split or column."""
        return Sieve(HubStore(self), self.decoding)


class HubStore:
    """The rows of one split."""

    def __init__(self, settings: HubSettings) -> None:
        from datasets import ClassLabel, Image, load_dataset_builder
        from datasets.packaged_modules.parquet.parquet import ParquetConfig
        from pyarrow.dataset import ParquetFragmentScanOptions

        self._settings = settings
        columns = settings.columns
        try:
            builder = load_dataset_builder(settings.name, settings.config, revision=settings.revision)
            if isinstance(builder.config, ParquetConfig):  # else it keeps all that it has read of a file
                builder.config.fragment_scan_options = ParquetFragmentScanOptions(
                    pre_buffer=False, use_buffered_stream=True
                )
            rows = cast("IterableDataset", builder.as_streaming_dataset(split=settings.split))
        except Exception as error:  # of the network, the Hub, the dataset's own files: any
            raise UserError(
                f"pictures.name={settings.name}: no split {settings.split!r} of it can be had ({in_a_line(error)}). "
                "Set pictures.name=, .config=, .split= or .revision=."
            ) from error
        features = rows.features or {}
        columns.require(features, self.name)
        if not isinstance(features[columns.image], Image):
            raise UserError(f"{self.name}: the column {columns.image!r} is no Image. Set pictures.columns.image=.")
        label = features[columns.domain] if columns.domain else None
        self._labels: list[str] = label.names if isinstance(label, ClassLabel) else []
        self._rows = rows.select_columns(columns.chosen).cast_column(columns.image, Image(decode=False))

    @property
    def name(self) -> str:
        """Its name and split."""
        return f"{self._settings.name} ({self._settings.split})"

    def encoded(self) -> Iterator[Encoded]:
        """The rows, as they come. Raises UserError if they stop coming."""
        columns = self._settings.columns
        rows = enumerate(self._rows)
        while True:
            try:
                number, row = next(rows)
            except StopIteration:
                return
            except Exception as error:  # of the network or the dataset's files: any
                raise UserError(f"{self.name} broke off ({in_a_line(error)}). Try again.") from error
            values = cast("dict[str, Any]", row)
            if columns.domain and self._labels and values[columns.domain] is not None:
                values = values | {columns.domain: self._labels[values[columns.domain]]}
            yield columns.encoded(values, number)
