"""Mean shift domain by domain: the gap is taken as constant within a domain, not over all."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from unicorn.errors import UserError
from unicorn.transfer.centring import MeanCentring
from unicorn.transfer.fitted import FittedTransfer
from unicorn.transfer.geometry import centred, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, ImageMean, NoiseKey


@dataclass(kw_only=True)
class DomainMeanShiftSettings:
    """There is nothing to set."""

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "DomainMeanShift":
        """The transfer of a training split, of whose domains the statistics tell all."""
        return DomainMeanShift.of(
            statistics,
            domains=[*statistics.domain_mean],
            text_means=np.array([*statistics.domain_mean.values()], np.float32),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class DomainMeanShift(FittedTransfer):
    """Text: n(u - mean(U of its domain)). Image: n(v - mean(V)), or with `centring=domain` that of the nearest domain.

    What arXiv 2503.22655 names as its weak spot, a gap that is not constant over domains, taken at its word.
    """

    domains: list[str]
    text_means: Float32[np.ndarray, "domains d"]

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(u - mean(U of its domain)). Raises UserError, naming the domain, if the training split had none of it."""
        row = {name: number for number, name in enumerate(self.domains)}
        try:
            rows = [row[name] for name in domains or [""] * len(vectors)]
        except KeyError as error:
            raise UserError(
                f"transfer=domain_mean_shift has no mean of the domain {error}: no training caption is of it. Use "
                "mean_shift, or add captions."
            ) from error
        return unit(centred(vectors, self.text_means[rows]))

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """n(v - mean), of all images or of the nearest domain's."""
        return MeanCentring(self.space, self.normalised, mean)
