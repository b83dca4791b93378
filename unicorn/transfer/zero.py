"""Every vector becomes zero: what a model learns then, it learned without seeing. The blind baseline."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.centring import NoCentring
from unicorn.transfer.fitted import FittedTransfer
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, ImageMean, NoiseKey


@dataclass(kw_only=True)
class ZeroSettings:
    """There is nothing to set."""

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "Zero":
        """The transfer of a training split, which it need not see."""
        return Zero.of(statistics)


@dataclass(frozen=True, kw_only=True, eq=False)
class Zero(FittedTransfer):
    """Text: 0. Image: 0."""

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """Zeros."""
        return np.zeros(vectors.shape, np.float32)

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """Images become zeros, too."""
        return ZeroCentring(self.space, self.normalised, mean)


class ZeroCentring(NoCentring):
    """Images become zeros."""

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Zeros."""
        return np.zeros(vectors.shape, np.float32)
