"""Mean, trace, covariance and per-domain means of a set of vectors, gathered in one pass and mergeable."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, TypeVar, TypeVarTuple

import numpy as np
from jaxtyping import Float, Float32, Float64
from safetensors.numpy import load_file, save

from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.stamp import check_stamps, read_sealed, stamps_of, write_sealed
from unicorn.transfer.precision import widened_blocks

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

# A unit vector that went through float16 has a norm within this of one.
UNIT_NORM_TOLERANCE = 1e-2

# So few that float32 sums them with almost no error.
ROWS_PER_SUM = 64

# So few that they are still in the processor's cache when they are gone through again.
ROWS_AT_ONCE = 1024

# Cores that this process may use; more than a few would wait for the memory.
THREADS = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """Moments of `count` vectors of one embedding space; `normalised` says whether all had unit norm.

    `trace` is the mean squared distance to the mean, which is the trace of the covariance; the covariance itself, that
    of the population, is there where it was asked for. The dictionaries are keyed by domain, in sorted order, and empty
    where the vectors came without domains.
    """

    space: str
    normalised: bool
    count: int
    mean: Float64[np.ndarray, " d"]
    trace: float
    domain_count: dict[str, int]
    domain_mean: dict[str, Float64[np.ndarray, " d"]]
    covariance: Float64[np.ndarray, "d d"] | None = None

    @classmethod
    def of(
        cls,
        space: str,
        vectors: Float[np.ndarray, "n d"],
        domains: Sequence[str] | None = None,
        covariance: bool = False,
        first: int = 0,
    ) -> Self:
        """The statistics of one non-empty chunk; float32 within a few rows, float64 across.

        `first` is the number of its first row among all. Raises UserError, naming the row, if a vector is not finite.
        """
        labels = np.asarray(domains or ())
        dimension = vectors.shape[1]
        total, square, normalised = np.zeros(dimension), 0.0, True
        domain_total = {name: np.zeros(dimension) for name in sorted(set(domains or ()))}
        products = np.zeros((dimension, dimension)) if covariance else None
        # All sums are about a vector near the mean: about 0 they would lose digits to what all vectors share.
        pivot: Float32[np.ndarray, " d"] | None = None
        starts = range(0, len(vectors), ROWS_AT_ONCE)
        for start, few in zip(starts, widened_blocks(vectors, ROWS_AT_ONCE), strict=True):
            squared_norms = np.vecdot(few, few)
            if not (finite := np.isfinite(squared_norms)).all():
                row = first + start + int(np.argmin(finite))
                raise UserError(f"row {row} of the vectors of {space} has a NaN or an infinity. Encode in float32.")
            normalised &= bool((np.abs(np.sqrt(squared_norms) - 1) < UNIT_NORM_TOLERANCE).all())
            pivot = _near_mean(few) if pivot is None else pivot
            apart = few - pivot
            total += _sum(apart)
            square += float(np.vecdot(apart, apart).sum(dtype=np.float64))
            if products is not None:
                products += apart.T @ apart
            for name, of_domain in domain_total.items():
                of_domain += _sum(apart[labels[start : start + ROWS_AT_ONCE] == name])
        assert pivot is not None  # the chunk is not empty
        count, origin = len(vectors), pivot.astype(np.float64)
        off = total / count
        domain_count = {name: int((labels == name).sum()) for name in domain_total}
        return cls(
            space=space,
            normalised=normalised,
            count=count,
            mean=origin + off,
            trace=max(0.0, square / count - float(off @ off)),
            domain_count=domain_count,
            domain_mean={name: origin + domain_total[name] / rows for name, rows in domain_count.items()},
            covariance=None if products is None else products / count - np.outer(off, off),
        )

    @classmethod
    def from_chunks(
        cls,
        space: str,
        chunks: Iterable[tuple[Float[np.ndarray, "n d"], Sequence[str] | None]],
        covariance: bool = False,
    ) -> Self:
        """The statistics of non-empty chunks, each with its rows' domains; a core takes one at a time.

        Raises UserError if there is no chunk, or, naming its row of all, a vector is not finite.
        """
        total: Self | None = None
        for part in in_order(partial(cls.of, space), _numbered(chunks, covariance)):
            total = total.merge(part) if total else part
        if total is None:
            raise UserError(f"there are no vectors of {space} to take the mean of.")
        return total

    def merge(self, other: Self) -> Self:
        """The statistics of both sets together (Chan, Golub & LeVeque, 1979); the covariance, if both have it.

        Raises UserError if the two are of different spaces.
        """
        self.require(other.space, self.normalised)
        count = self.count + other.count
        share = other.count / count
        gap = other.mean - self.mean
        covariance = None
        if self.covariance is not None and other.covariance is not None:
            covariance = (1 - share) * self.covariance + share * other.covariance
            covariance += share * (1 - share) * np.outer(gap, gap)
        domain_count = {
            domain: self.domain_count.get(domain, 0) + other.domain_count.get(domain, 0)
            for domain in sorted(self.domain_count | other.domain_count)
        }
        return type(self)(
            space=self.space,
            normalised=self.normalised and other.normalised,
            count=count,
            mean=self.mean + share * gap,
            trace=(1 - share) * self.trace + share * other.trace + share * (1 - share) * float(gap @ gap),
            domain_count=domain_count,
            domain_mean={
                domain: (self._domain_sum(domain) + other._domain_sum(domain)) / total
                for domain, total in domain_count.items()
            },
            covariance=covariance,
        )

    def _domain_sum(self, domain: str) -> Float64[np.ndarray, " d"]:
        if domain not in self.domain_count:
            return np.zeros_like(self.mean)
        return self.domain_mean[domain] * self.domain_count[domain]

    def require(self, space: str, normalised: bool) -> None:
        """Raises UserError, naming both, if these are statistics of another space or normalisation."""
        if (self.space, self.normalised) != (space, normalised):
            raise UserError(
                f"vectors of {_describe(self.space, self.normalised)} do not mix with those of "
                f"{_describe(space, normalised)}. Make both with one encoder."
            )

    def save(self, folder: Path) -> None:
        """Write `statistics.safetensors` (the arrays) and `statistics.json` (the rest, sealed) into `folder`."""
        tensors = {
            "mean": self.mean,
            "domain_mean": np.array([*self.domain_mean.values()]).reshape(-1, len(self.mean)),
        }
        if self.covariance is not None:
            tensors["covariance"] = self.covariance
        description = {
            "space": self.space,
            "normalised": self.normalised,
            "count": self.count,
            "trace": self.trace,
            "domain_count": self.domain_count,
        }
        with replacing(folder / "statistics.safetensors") as path:
            path.write_bytes(save(tensors))
        write_sealed(folder / "statistics.json", description | {"files": stamps_of(folder, ["statistics.safetensors"])})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote into `folder`. Raises UserError if it is not there, or, naming the file, damaged."""
        remedy = "Restore it from a copy, or make these statistics again."
        try:
            description = read_sealed(folder / "statistics.json", remedy)
        except FileNotFoundError as error:
            raise UserError(
                f"no statistics at {folder}: it holds no statistics.json. Name a folder of statistics, such as "
                "embeddings/ of a dataset or image_statistics/ of an evaluation."
            ) from error
        check_stamps(folder, description.pop("files"), remedy)
        tensors = load_file(folder / "statistics.safetensors")
        means = zip(description["domain_count"], tensors["domain_mean"], strict=True)
        return cls(**description, mean=tensors["mean"], domain_mean=dict(means), covariance=tensors.get("covariance"))


def _numbered(
    chunks: Iterable[tuple[Float[np.ndarray, "n d"], Sequence[str] | None]], covariance: bool
) -> Iterator[tuple[Float[np.ndarray, "n d"], Sequence[str] | None, bool, int]]:
    """What `Statistics.of` takes of each chunk, with the number of its first row."""
    first = 0
    for vectors, domains in chunks:
        yield vectors, domains, covariance, first
        first += len(vectors)


def _near_mean(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, " d"]:
    """The mean but for float32's rounding; where all vectors are the same, exactly that one."""
    return vectors[0] + (vectors - vectors[0]).mean(axis=0)


def _sum(vectors: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " d"]:
    """The sum of the rows: products of matrices over a few rows at a time, for speed, and float64 across them."""
    whole = len(vectors) // ROWS_PER_SUM * ROWS_PER_SUM
    sums = np.ones(ROWS_PER_SUM, np.float32) @ vectors[:whole].reshape(-1, ROWS_PER_SUM, vectors.shape[1])
    return sums.sum(axis=0, dtype=np.float64) + vectors[whole:].sum(axis=0, dtype=np.float64)


def in_order(function: Callable[[*Arguments], Result], calls: Iterable[tuple[*Arguments]]) -> Iterator[Result]:
    """The results of calls in their order; a core takes one at a time, and one more is on its way than there are."""
    on_the_way = deque[Future[Result]]()
    with ThreadPoolExecutor(THREADS) as pool:
        for arguments in calls:
            on_the_way.append(pool.submit(function, *arguments))
            if len(on_the_way) > THREADS:
                yield on_the_way.popleft().result()
        yield from (future.result() for future in on_the_way)


def _describe(space: str, normalised: bool) -> str:
    return f"{space} ({'unit norm' if normalised else 'any norm'})"
