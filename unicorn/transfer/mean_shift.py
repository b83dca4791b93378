"""Mean shift, the transfer of Unicorn: the gap between the modalities is taken as constant, and removed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.centring import MeanCentring
from unicorn.transfer.fitted import MeanTransfer
from unicorn.transfer.geometry import centred, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, ImageMean, NoiseKey


@dataclass(kw_only=True)
class MeanShiftSettings:
    """`normalise` puts the shifted vectors back onto the unit sphere, as version 2 of the paper does and 1 does not."""

    normalise: bool = True

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "MeanShift":
        """The transfer of a training split, of which the statistics tell all."""
        return MeanShift.of(statistics, normalise=self.normalise)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanShift(MeanTransfer):
    """Text: n(u - mean(U)). Image: n(v - mean(V)). With n(x) = x / |x|, or n(x) = x; arXiv 2503.22655, stage 3."""

    normalise: bool

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(u - mean(U))."""
        shifted = centred(vectors, self.text_mean)
        return unit(shifted) if self.normalise else shifted

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """n(v - mean(V))."""
        return MeanCentring(self.space, self.normalised, mean, normalise=self.normalise)
