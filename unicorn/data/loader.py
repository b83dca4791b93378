"""The loader of the training steps, whose whole state is the number of steps that were taken."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import DataLoader, Dataset

from unicorn.data.batch import Collator, Step
from unicorn.data.order import Order
from unicorn.data.packing import deal, fill_rows


@dataclass(kw_only=True)
class StepDataset(Dataset[Step]):
    """One rank's share of every step, by the step's number."""

    order: Order
    """Of the samples that the collator's packs are made of."""
    collator: Collator
    row_length: int
    rows_per_pack: int
    rank: int
    ranks: int

    def __getitem__(self, step: int) -> Step:
        """The step, packed, dealt and collated."""
        samples, chosen = self.collator.samples, self.collator.chosen
        drawn = self.order.step(step)
        rows = fill_rows(samples.lengths[chosen[drawn]].tolist(), self.row_length)
        packs = deal([drawn[row].tolist() for row in rows], self.ranks, self.rows_per_pack)[self.rank]
        mine = [position for pack in packs for row in pack for position in row]
        lengths = samples.lengths[chosen[mine]].astype(np.int64)
        return Step(
            packs=[self.collator(pack, self.order.epoch(step)) for pack in packs],
            supervised=int(samples.answer_lengths[chosen[drawn]].sum()),
            tokens=int(lengths.sum()),
            attended=int((lengths**2).sum()),
            samples=mine,
        )


class StepLoader:
    """Yields an epoch's steps; begun anew, the next epoch's; loaded with a state, those after it."""

    def __init__(self, dataset: StepDataset, workers: int) -> None:
        self.dataset = dataset
        self.workers = workers
        self.taken = 0

    def __len__(self) -> int:
        """Steps of an epoch."""
        return self.dataset.order.steps_per_epoch

    def __iter__(self) -> Iterator[Step]:
        """The rest of the epoch."""
        end = (self.taken // len(self) + 1) * len(self)
        for step in loaded(self.dataset, range(self.taken, end), self.workers):
            self.taken += 1
            yield step

    def state_dict(self) -> dict[str, int]:
        """The steps taken, over all epochs."""
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the steps taken."""
        self.taken = state["taken"]


def loaded(dataset: StepDataset, steps: range, workers: int) -> Iterator[Step]:
    """The steps, in order, prepared by worker processes if there are any."""
    start = "forkserver" if workers else None  # a process with threads must not be forked
    loader = DataLoader(dataset, batch_size=None, sampler=steps, num_workers=workers, multiprocessing_context=start)
    return iter(loader)
