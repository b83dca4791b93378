"""Mean shift, and CLOSE's noise on what was shifted."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.fitted import MeanTransfer
from unicorn.transfer.geometry import centred, gaussian, require_noise, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import NoiseKey


@dataclass(kw_only=True)
class MeanShiftNoiseSettings:
    """`scale` is the standard deviation of the noise in each dimension, beside a vector of length 1.

    C3 adds its noise before the shifted vector is normalised, so that it weighs more the shorter that one is.
    """

    scale: float = 0.04

    def __post_init__(self) -> None:
        require_noise("scale", self.scale)

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "MeanShiftNoise":
        """The transfer of a training split, of which the statistics tell all."""
        return MeanShiftNoise.of(statistics, scale=self.scale)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanShiftNoise(MeanTransfer):
    """Text: n(n(u - mean(U)) + scale eps), eps ~ N(0, I). Image: n(v - mean(V)).

    The shift is that of arXiv 2503.22655, the noise that of arXiv 2211.09778.
    """

    scale: float

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(n(u - mean(U)) + scale eps)."""
        shifted = unit(centred(vectors, self.text_mean))
        return unit(shifted + self.scale * gaussian(noise, shifted.shape[1]))
