"""What means and covariances tell of the gap. Covariances S are those of the population, their eigenvalues descend.

A number that is not defined, as of vectors that do not differ, is NaN.
"""

import numpy as np
from jaxtyping import Float, Float64

from unicorn.transfer.statistics import Statistics

FIRST = 10
"""Principal directions whose share of the variance is told."""
SUBSPACES = (10, 50, 100)
"""Principal directions that are compared at a time."""


def energy_ratio(gap: Statistics) -> float:
    """|g|^2 / mean |gap_i|^2: how much of the gaps between pairs is the one gap g = mean(gap_i); 1 if all are."""
    constant = float(gap.mean @ gap.mean)
    return _ratio(constant, constant + gap.trace)


def eigen(covariance: Float64[np.ndarray, "d d"]) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    """Eigenvalues of a symmetric matrix, the largest first, and their vectors in columns."""
    values, vectors = np.linalg.eigh(covariance)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def effective_dimension(values: Float64[np.ndarray, " d"]) -> float:
    """tr(S)^2 / tr(S^2), the participation ratio: d if all directions vary alike, 1 if one alone does."""
    return _ratio(values.sum() ** 2, (values**2).sum())


def anisotropy(values: Float64[np.ndarray, " d"]) -> float:
    """The largest eigenvalue beside the mean one: 1 if all directions vary alike, d if one alone does."""
    return _ratio(values[0], values.mean())


def shares(values: Float64[np.ndarray, " d"]) -> list[float]:
    """Of each of the first directions, its share in the variance."""
    return [_ratio(value, values.sum()) for value in values[:FIRST]]


def log_spectrum_correlation(text: Float64[np.ndarray, " d"], image: Float64[np.ndarray, " d"]) -> float:
    """Pearson's correlation of the logarithms of the eigenvalues of S_u and S_v, in order of size."""
    floor = np.finfo(np.float32).eps  # below which an eigenvalue is the noise of float32
    least = np.finfo(np.float64).tiny
    logarithms = [np.log(np.maximum(values, max(values[0] * floor, least))) for values in (text, image)]
    left, right = (each - each.mean() for each in logarithms)
    return _ratio(left @ right, float(np.linalg.norm(left) * np.linalg.norm(right)))


def subspace_overlap(text: Float64[np.ndarray, "d d"], image: Float64[np.ndarray, "d d"], q: int) -> float:
    """|V_q' U_q|_F^2 / q of the first q eigenvectors: 1 for the same subspace, q / d by chance."""
    return float(((image[:, :q].T @ text[:, :q]) ** 2).sum() / q)


def domain_gaps(text: Statistics, image: Statistics) -> dict[str, Float64[np.ndarray, " d"]]:
    """Of every domain that both sides have, the gap between its means."""
    shared = sorted(text.domain_mean.keys() & image.domain_mean.keys())
    return {name: image.domain_mean[name] - text.domain_mean[name] for name in shared}


def cosines(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """Cosines of all with all; NaN for those of zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.full_like(vectors, np.nan), where=norms > 0)
    return unit @ unit.T


def _ratio(part: float, whole: float) -> float:
    """NaN where there is nothing to have a part in."""
    return float(part / whole) if whole > 0 else np.nan
