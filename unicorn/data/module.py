"""The DataModule: a dataset's samples as training steps and as held-out ones, transferred on the fly."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float, Int64
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor

from unicorn.data.batch import Collator, Step
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.loader import StepDataset, StepLoader, loaded
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
        most_held_out: int,
        seed: int,
        folder: Path,
    ) -> None:
        """`samples_of` makes the samples; `folder` keeps them, tokenised; so many of the held-out split are used."""
        super().__init__()
        self.prepare_data_per_node = False  # all nodes see one folder
        self.dataset = dataset
        self.transfer = transfer
        self.tokenizer = tokenizer
        self.samples_of = samples_of
        self.settings = settings
        self.batch = batch
        self.most_held_out = most_held_out
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
        self.held_out = held_out[shuffled(len(held_out), self.seed, 0)[: self.most_held_out]]
        if not len(self.training):
            raise UserError(f"no sample of the training split in {self.dataset.path}: synthesise more captions.")
        self.order = Order(samples=len(self.training), batch=self.batch, seed=self.seed)

    def train_dataloader(self) -> StepLoader:
        """The training steps, this rank's share."""
        collator = self._collator(self.training, self.samples.rows[self.training])
        return StepLoader(self._steps(self.order, collator), self.settings.workers)

    def shown(self, samples: Int64[np.ndarray, " n"], pictured: Int64[np.ndarray, " n"]) -> Iterator[Step]:
        """Steps of any samples, each shown the image of a caption row, in no order; this rank's share."""
        order = Order(samples=len(samples), batch=self.batch, seed=self.seed)
        steps = self._steps(order, self._collator(samples, pictured))
        return loaded(steps, range(order.steps_per_epoch), self.settings.workers)

    def images(self, samples: Int64[np.ndarray, " n"]) -> Float[Tensor, "n d"]:
        """What the model sees with samples."""
        rows = self.samples.rows[samples]
        return self._collator(samples, rows).images(rows, epoch=0)

    def _collator(self, samples: Int64[np.ndarray, " n"], pictured: Int64[np.ndarray, " n"]) -> Collator:
        return Collator(
            samples=self.samples,
            chosen=samples,
            pictured=pictured,
            dataset=self.dataset,
            transfer=self.transfer,
            image_token_id=self.tokenizer.image_token_id,
            visual_tokens=self.tokenizer.visual_tokens,
            seed=self.seed,
        )

    def _steps(self, order: Order, collator: Collator) -> StepDataset:
        trainer = cast("Trainer", self.trainer)
        return StepDataset(
            order=order,
            collator=collator,
            row_length=self.settings.row_length,
            rows_per_pack=self.settings.rows_per_pack,
            rank=trainer.global_rank,
            ranks=trainer.world_size,
        )
