"""ReAlign: text vectors are given the mean and the spread of image vectors, which stay as they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from unicorn.errors import UserError
from unicorn.transfer.fitted import FittedTransfer
from unicorn.transfer.geometry import centred, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import NoiseKey


@dataclass(kw_only=True)
class ReAlignSettings:
    """`image_statistics` is a folder of statistics of unpaired images; those of 10,000 are enough."""

    image_statistics: str | None = None

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "ReAlign":
        """The transfer of a training split, in one pass over its vectors.

        Raises UserError if there are no image statistics, or they are not such as `ReAlign.onto` takes.
        """
        if self.image_statistics is None:
            raise UserError(
                "transfer=realign needs statistics of images: set image_statistics= to a folder of them. "
                "`python evaluate.py run=null task=statistics encoder=... out=...` makes them."
            )
        return ReAlign.onto(Statistics.load(Path(self.image_statistics)), statistics, chunks)


def anchor(
    vectors: Float[np.ndarray, "n d"],
    text_mean: Float32[np.ndarray, " d"],
    image_mean: Float32[np.ndarray, " d"],
    scale: float,
) -> Float32[np.ndarray, "n d"]:
    """Anchored at the image mean, with the spread of images: n(mean(V) + s (u - mean(U)))."""
    return unit(image_mean + scale * centred(vectors, text_mean))


@dataclass(frozen=True, kw_only=True, eq=False)
class ReAlign(FittedTransfer):
    """Text: n(x' - mean(x') + mean(V)). Image: v. arXiv 2602.07026, section 4.

    Here x' = n(mean(V) + s (u - mean(U))), and s = sqrt(trace(V) / trace(U)).
    """

    text_mean: Float32[np.ndarray, " d"]
    image_mean: Float32[np.ndarray, " d"]
    scale: float
    anchored_mean: Float32[np.ndarray, " d"]

    @classmethod
    def onto(cls, images: Statistics, texts: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> "ReAlign":
        """The transfer of text vectors, in one pass over them, onto those statistics of images.

        Raises UserError if the two are of different spaces or normalisations, or one does not spread.
        """
        images.require(texts.space, texts.normalised)
        for side, statistics in (("texts", texts), ("images", images)):
            if statistics.trace == 0:
                raise UserError(
                    f"transfer=realign gives texts the spread of images, and all {statistics.count:,} {side} of "
                    f"{statistics.space} have one vector. Take {side} that differ."
                )
        text_mean, image_mean = texts.mean.astype(np.float32), images.mean.astype(np.float32)
        scale = sqrt(images.trace / texts.trace)
        anchored = ((anchor(chunk, text_mean, image_mean, scale), None) for chunk in chunks)
        return cls.of(
            texts,
            text_mean=text_mean,
            image_mean=image_mean,
            scale=scale,
            anchored_mean=Statistics.from_chunks(texts.space, anchored).mean.astype(np.float32),
        )

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float32[np.ndarray, "n d"]:
        """n(x' - mean(x') + mean(V)): projecting onto the sphere moved the mean, and this puts it back."""
        anchored = anchor(vectors, self.text_mean, self.image_mean, self.scale)
        return unit(centred(anchored, self.anchored_mean) + self.image_mean)
