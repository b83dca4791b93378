"""No transfer: training on text vectors as they are, inference on image vectors as they are."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.fitted import FittedTransfer
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import NoiseKey


@dataclass(kw_only=True)
class NoTransferSettings:
    """There is nothing to set."""

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "NoTransfer":
        """The transfer of a training split, which it need not see."""
        return NoTransfer.of(statistics)


@dataclass(frozen=True, kw_only=True, eq=False)
class NoTransfer(FittedTransfer):
    """Text: u. Image: v. The ablation "no alignment" of arXiv 2503.22655."""

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """The vectors themselves, in float32."""
        return vectors.astype(np.float32)
