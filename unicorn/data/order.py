"""Which samples make which step: a pure function of seed and step, so that a run resumes at one number."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True, kw_only=True)
class Order:
    """The order of `samples` samples in steps of `batch`; every epoch holds each sample once.

    Steps count on through the epochs. An epoch's last step takes what is left: nothing is padded in, dropped
    or repeated.
    """

    samples: int
    batch: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps that hold every sample once."""
        return ceil(self.samples / self.batch)

    def epoch(self, step: int) -> int:
        """The epoch that a step belongs to."""
        return step // self.steps_per_epoch

    def step(self, step: int) -> Int64[np.ndarray, " n"]:
        """The positions of a step's samples."""
        epoch, within = divmod(step, self.steps_per_epoch)
        return shuffled(self.samples, self.seed, epoch)[within * self.batch : (within + 1) * self.batch]


@lru_cache(maxsize=2)
def shuffled(samples: int, seed: int, epoch: int) -> Int64[np.ndarray, " samples"]:
    """An epoch's order, drawn from Philox keyed by seed and epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(samples)
