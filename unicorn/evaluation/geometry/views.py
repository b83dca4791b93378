"""Two sets of vectors as a transfer leaves them, read a few rows at a time: a million mapped rows fit anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float, Float32, Int64

from unicorn.transfer.centring import CalibrationMean, DomainMeans
from unicorn.transfer.domain_mean_shift import DomainMeanShift
from unicorn.transfer.geometry import unit
from unicorn.transfer.precision import widened
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, NoiseKey, Transfer

ROWS_AT_ONCE = 4096

Rows = slice | Int64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """Vectors of one side, of unit norm, or to be `scaled` to it as they are read. Its name tells it in messages."""

    name: str
    vectors: Float[np.ndarray, "n d"]
    scaled: bool = False

    def __len__(self) -> int:
        return len(self.vectors)

    def stored(self, rows: Rows) -> Float[np.ndarray, "n d"]:
        """Unit vectors of some rows, in the precision they are stored in unless they are scaled."""
        return unit(widened(self.vectors[rows])) if self.scaled else self.vectors[rows]

    def of(self, rows: Rows) -> Float32[np.ndarray, "n d"]:
        """Unit vectors of some rows."""
        return widened(self.stored(rows))


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Text and images, pairs row by row if they are as many; `domains`, if any, are those of both sides' rows.

    The seed is that of the transfers' noise.
    """

    text: Side
    image: Side
    domains: Sequence[str]
    seed: int

    @property
    def paired(self) -> bool:
        """Whether rows are pairs."""
        return len(self.text) == len(self.image)

    def texts(self, rows: Rows) -> tuple[Float32[np.ndarray, "n d"], Sequence[str] | None, NoiseKey]:
        """What a transfer is given of some rows."""
        numbers = np.arange(len(self.text))[rows]
        domains = [self.domains[int(number)] for number in numbers] if self.domains else None
        return self.text.of(rows), domains, NoiseKey(seed=self.seed, epoch=0, rows=numbers)


@dataclass(frozen=True, kw_only=True)
class View:
    """Text as a transfer makes it, what a projector is trained on, and images as it is given them at inference."""

    name: str
    sides: Sides
    transfer: Transfer
    centring: ImageCentring

    @classmethod
    def under(cls, name: str, sides: Sides, transfer: Transfer, images: Statistics) -> Self:
        """Images are centred on their own mean; where text was shifted by domain, on that of the nearest domain."""
        images = replace(images, space=transfer.space)  # they are of the transfer's space, by whatever name
        mean = DomainMeans(images) if isinstance(transfer, DomainMeanShift) else CalibrationMean(images)
        return cls(name=name, sides=sides, transfer=transfer, centring=transfer.image_centring(mean))

    def text(self, rows: Rows) -> Float32[np.ndarray, "n d"]:
        """Text vectors of some rows."""
        return self.transfer.text(*self.sides.texts(rows))

    def image(self, rows: Rows) -> Float32[np.ndarray, "n d"]:
        """Image vectors of some rows."""
        return self.centring.transform(self.sides.image.of(rows))


def slices(count: int, at_once: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """All rows, a few at a time."""
    return (slice(start, min(start + at_once, count)) for start in range(0, count, at_once))


def chosen(count: int, most: int, seed: int) -> Int64[np.ndarray, " n"]:
    """So many rows of all at most, drawn by the seed, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def moments(side: Side, domains: Sequence[str]) -> Statistics:
    """Mean, covariance and means by domain, in one pass."""
    chunks = ((side.stored(rows), domains[rows]) for rows in slices(len(side)))
    return Statistics.from_chunks(side.name, chunks, covariance=True)


def gap_moments(sides: Sides) -> Statistics:
    """Mean and covariance of v - u: the latter is that of the residuals, what a constant gap leaves."""
    gaps = ((sides.image.of(rows) - sides.text.of(rows), None) for rows in slices(len(sides.text)))
    return Statistics.from_chunks("gap", gaps, covariance=True)
