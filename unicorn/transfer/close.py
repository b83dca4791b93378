"""CLOSE: text as it is, and noise that blurs what tells it from images."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.fitted import FittedTransfer
from unicorn.transfer.geometry import gaussian, require_noise, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import NoiseKey


@dataclass(kw_only=True)
class CloseSettings:
    """`scale` is the standard deviation of the noise in each dimension; 0.04 to 0.12 were published."""

    scale: float = 0.08

    def __post_init__(self) -> None:
        require_noise("scale", self.scale)

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "Close":
        """The transfer of a training split, which it need not see."""
        return Close.of(statistics, scale=self.scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class Close(FittedTransfer):
    """Text: n(u + scale eps), eps ~ N(0, I). Image: v. Gu, Clark & Kembhavi, arXiv 2211.09778."""

    scale: float

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(u + scale eps)."""
        return unit(vectors.astype(np.float32) + self.scale * gaussian(noise, vectors.shape[1]))
