"""Two sets of vectors as a transfer leaves them, read a few rows at a time: a million mapped rows fit anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from unicorn.evaluation.task import Pairs, VectorChunk
from unicorn.transfer.precision import widened
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, NoiseKey, Transfer

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class View:
    """Text and images, raw, or as a transfer makes the first and its image side, which has seen them, the second."""

    name: str
    pairs: Pairs
    seed: int
    transfer: Transfer | None = None
    centring: ImageCentring | None = None

    @classmethod
    def under(cls, name: str, pairs: Pairs, transfer: Transfer, seed: int) -> "View":
        """What the projector is trained on, and what it is given at inference, centred on the images at hand."""
        centring = transfer.image_centring()
        for rows in slices(len(pairs.image)):
            centring.observe(widened(pairs.image[rows]))
        return cls(name=name, pairs=pairs, seed=seed, transfer=transfer, centring=centring)

    def text(self, rows: slice | Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Text vectors of some rows, in float32."""
        vectors = widened(self.pairs.text[rows])
        if self.transfer is None:
            return vectors
        numbers = np.arange(len(self.pairs.text))[rows]
        domains = [self.pairs.domains[int(number)] for number in numbers] if self.pairs.domains else None
        return self.transfer.text(vectors, domains, NoiseKey(seed=self.seed, epoch=0, rows=numbers))

    def image(self, rows: slice | Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        """Image vectors of some rows, in float32."""
        vectors = widened(self.pairs.image[rows])
        return vectors if self.centring is None else self.centring.transform(vectors)

    def gap_norm(self) -> float:
        """|mean(v) - mean(u)|; Liang et al., arXiv 2203.02053."""
        sides = ((self.text, self.pairs.text), (self.image, self.pairs.image))
        means = [
            sum(side(rows).sum(axis=0, dtype=np.float64) for rows in slices(len(vectors))) / len(vectors)
            for side, vectors in sides
        ]
        return float(np.linalg.norm(means[1] - means[0]))

    def both(self) -> Iterator[tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n d"]]]:
        """All pairs, a few at a time."""
        return ((self.text(rows), self.image(rows)) for rows in slices(len(self.pairs.text)))


def slices(count: int) -> Iterator[slice]:
    """All rows, a few at a time."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def chosen(count: int, most: int, seed: int) -> Int64[np.ndarray, " n"]:
    """So many rows of all at most, drawn by the seed, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def moments(name: str, vectors: Float[np.ndarray, "n d"], domains: Sequence[str]) -> Statistics:
    """Mean, covariance and means by domain, in one pass."""
    chunks = (_chunk(vectors, domains, rows) for rows in slices(len(vectors)))
    return Statistics.from_chunks(name, chunks, covariance=True)


def gap_moments(pairs: Pairs) -> Statistics:
    """Mean and covariance of v - u: the latter is that of the residuals, what a constant gap leaves."""
    gaps = ((widened(pairs.image[rows]) - widened(pairs.text[rows]), None) for rows in slices(len(pairs.text)))
    return Statistics.from_chunks("gap", gaps, covariance=True)


def _chunk(vectors: Float[np.ndarray, "n d"], domains: Sequence[str], rows: slice) -> VectorChunk:
    return vectors[rows], domains[rows]
