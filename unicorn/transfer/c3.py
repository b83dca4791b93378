"""C3, "Connect, Collapse, Corrupt": mean shift, and noise, so that a region counts, not a point."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Float32

from unicorn.transfer.fitted import MeanTransfer
from unicorn.transfer.geometry import centred, gaussian, require_noise, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import NoiseKey


@dataclass(kw_only=True)
class C3Settings:
    """`variance` is that of the noise in each dimension; the default is the paper's."""

    variance: float = 0.016

    def __post_init__(self) -> None:
        require_noise("variance", self.variance)

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "C3":
        """The transfer of a training split, of which the statistics tell all."""
        return C3.of(statistics, variance=self.variance)


@dataclass(frozen=True, kw_only=True, eq=False)
class C3(MeanTransfer):
    """Text: n(u - mean(U) + sqrt(variance) eps), eps ~ N(0, I). Image: n(v - mean(V)). arXiv 2401.08567."""

    variance: float

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(u - mean(U) + sqrt(variance) eps)."""
        shifted = centred(vectors, self.text_mean)
        return unit(shifted + sqrt(self.variance) * gaussian(noise, shifted.shape[1]))
