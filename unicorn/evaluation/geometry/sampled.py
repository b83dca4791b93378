"""What is fitted to a sample of the vectors: a classifier, and clusters."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from unicorn.evaluation.geometry.moments import cosines
from unicorn.evaluation.geometry.paired import cosine

CLUSTERS = (50, 100, 200, 500)
ROWS_PER_CLUSTER = 10
"""On average, at least: the mean gap of fewer rows says little."""
SPLITS = {"50_50": 0.5, "80_20": 0.8}
"""Shares of the clusters that a gap is taken from, for the others."""


def separability(text: Float[np.ndarray, "n d"], image: Float[np.ndarray, "n d"], seed: int) -> float:
    """How often a logistic regression fitted on half of the rows tells text from image in the other half."""
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(text))
    (seen, modality), (unseen, truth) = (
        (np.concatenate([text[rows], image[rows]]), np.repeat([0, 1], len(rows)))
        for rows in (order[: len(text) // 2], order[len(text) // 2 :])
    )
    return float(LogisticRegression(max_iter=1000).fit(seen, modality).score(unseen, truth))


def cluster(text: Float32[np.ndarray, "n d"], count: int, seed: int) -> Int64[np.ndarray, " n"]:
    """The cluster of each text vector, by K-means on mini-batches (Sculley, WWW 2010)."""
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(count, random_state=seed, batch_size=4096).fit_predict(text).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cosines of the clusters' mean gaps with the mean gap: their mean, their median, and the share above 0.8."""

    mean: float
    median: float
    above: float


def cluster_agreement(gap: Float32[np.ndarray, "n d"], of: Int64[np.ndarray, " n"]) -> Agreement:
    """How far the clusters of `of` agree on the gap; NaN where one of them, or all together, have none."""
    means = _cluster_means(gap, of)
    with_all = cosines(np.concatenate([gap.mean(axis=0, dtype=np.float64)[np.newaxis], means]))[0, 1:]
    return Agreement(
        mean=float(with_all.mean()), median=float(np.median(with_all)), above=float((with_all > 0.8).mean())
    )


def cluster_transfer(
    text: Float32[np.ndarray, "n d"],
    image: Float32[np.ndarray, "n d"],
    of: Int64[np.ndarray, " n"],
    share: float,
    seed: int,
) -> tuple[float, float]:
    """Mean cosine of pairs in the target clusters, before and after text moves by the mean gap of the source clusters.

    So large a share of the clusters, drawn by the seed, is the source; one cluster at least is, and one is not. If the
    gap is one, it serves clusters in which it was not measured. NaN if there are not two clusters.
    """
    names = np.random.default_rng(seed).permutation(np.unique(of))
    if len(names) < 2:
        return np.nan, np.nan
    sources = min(max(round(share * len(names)), 1), len(names) - 1)
    source = np.isin(of, names[:sources])
    step = (image[source] - text[source]).mean(axis=0, dtype=np.float64).astype(np.float32)
    targets = text[~source], image[~source]
    return float(cosine(*targets).mean()), float(cosine(targets[0] + step, targets[1]).mean())


def _cluster_means(vectors: Float32[np.ndarray, "n d"], of: Int64[np.ndarray, " n"]) -> Float[np.ndarray, "k d"]:
    return np.array([vectors[of == name].mean(axis=0, dtype=np.float64) for name in np.unique(of)])
