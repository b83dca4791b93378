"""The DataModule: a dataset's samples as training steps and a held-out pass, transferred on the fly."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Int64
from lightning.pytorch import LightningDataModule, Trainer

from unicorn.data.batch import Collator
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.loader import StepDataset, StepLoader, ValidationLoader
from unicorn.data.order import Order, shuffled
from unicorn.data.samples import CaptionedSample, Samples, check_samples, stamps_path, write_samples
from unicorn.data.settings import DataSettings
from unicorn.dataset.reader import UnicornDataset
from unicorn.errors import UserError
from unicorn.transfer.transfer import Transfer

SamplesOf = Callable[[UnicornDataset, ConversationTokenizer], Iterable[CaptionedSample]]


class UnicornDataModule(LightningDataModule):
    """Steps of `batch` conversations, whatever the number of ranks and however long the packs."""

    def __init__(
        self,
        *,
        dataset: UnicornDataset,
        transfer: Transfer,
        tokenizer: ConversationTokenizer,
        samples_of: SamplesOf,
        settings: DataSettings,
        batch: int,
        seed: int,
        folder: Path,
    ) -> None:
        """`samples_of` makes the samples; `folder` keeps them, tokenised."""
        super().__init__()
        self.prepare_data_per_node = False  # all nodes see one folder
        self.dataset = dataset
        self.transfer = transfer
        self.tokenizer = tokenizer
        self.samples_of = samples_of
        self.settings = settings
        self.batch = batch
        self.seed = seed
        self.path = folder / "samples.arrow"

    def prepare_data(self) -> None:
        """Tokenise once; a stage's folder holds the samples of one configuration. Raises UserError if damaged."""
        if stamps_path(self.path).exists():
            check_samples(self.path)
        else:
            write_samples(
                self.path,
                self.samples_of(self.dataset, self.tokenizer),
                row_length=self.settings.row_length,
                placeholders=(self.tokenizer.image_token_id, self.tokenizer.visual_tokens),
            )

    def setup(self, stage: str) -> None:
        """Map the samples, and part them by the split of their captions."""
        self.samples = Samples(self.path, self.dataset)
        training = self.dataset.training_mask[self.samples.rows]
        self.training = np.flatnonzero(training)
        held_out = np.flatnonzero(~training)
        self.held_out = held_out[shuffled(len(held_out), self.seed, 0)[: self.settings.validation_samples]]
        if not len(self.training):
            raise UserError(f"no sample of the training split in {self.dataset.path}: synthesise more captions.")
        if not len(self.held_out):
            cast("Trainer", self.trainer).limit_val_batches = 0
        self.order = Order(samples=len(self.training), batch=self.batch, seed=self.seed)

    def train_dataloader(self) -> StepLoader:
        """The training steps, this rank's share."""
        return StepLoader(self._steps(self.order, self.training, self.samples.rows), self.settings.workers)

    def val_dataloader(self) -> list[ValidationLoader]:
        """The held-out samples, this rank's share, and the same again, each shown the image of the next."""
        order = Order(samples=len(self.held_out), batch=self.batch, seed=self.seed)
        shuffled_rows = self.samples.rows.copy()
        shuffled_rows[self.held_out] = np.roll(self.samples.rows[self.held_out], -1)
        return [
            ValidationLoader(self._steps(order, self.held_out, pictured), self.settings.workers)
            for pictured in (self.samples.rows, shuffled_rows)
        ]

    def _steps(
        self, order: Order, chosen: Int64[np.ndarray, " n"], pictured: Int64[np.ndarray, " samples"]
    ) -> StepDataset:
        trainer = cast("Trainer", self.trainer)
        return StepDataset(
            order=order,
            chosen=chosen,
            collator=Collator(
                samples=self.samples,
                pictured=pictured,
                dataset=self.dataset,
                transfer=self.transfer,
                image_token_id=self.tokenizer.image_token_id,
                visual_tokens=self.tokenizer.visual_tokens,
                seed=self.seed,
            ),
            row_length=self.settings.row_length,
            rows_per_pack=self.settings.rows_per_pack,
            rank=trainer.global_rank,
            ranks=trainer.world_size,
        )
