"""What pairs tell, one by one, and how often one finds the other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from unicorn.evaluation.geometry.views import View, chosen
from unicorn.transfer.geometry import unit

RANKS = (1, 5, 10)
_QUERIES_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class PairMeasures:
    """Of every pair: the cosine of its two vectors, that of its gap and the mean gap, and the residual's norm."""

    cosine: Float32[np.ndarray, " n"]
    direction: Float32[np.ndarray, " n"]
    residual_norm: Float32[np.ndarray, " n"]


def measure_pairs(view: View, mean_gap: Float64[np.ndarray, " d"]) -> PairMeasures:
    """cos(u, v), cos(gap, g) and |gap - g| of every pair, with gap = v - u."""
    mean_gap = mean_gap.astype(np.float32)
    columns = list[tuple[Float32[np.ndarray, " n"], ...]]()
    for text, image in view.both():
        gap = image - text
        direction = cosine(gap, np.broadcast_to(mean_gap, gap.shape))
        columns.append((cosine(text, image), direction, np.linalg.norm(gap - mean_gap, axis=1)))
    cosines, directions, norms = map(np.concatenate, zip(*columns, strict=True))
    return PairMeasures(cosine=cosines, direction=directions, residual_norm=norms)


def paired_cosine(view: View) -> float:
    """Mean cosine of a text and its image; a vector of zeros has a cosine of zero with all others."""
    total = sum(float(cosine(text, image).sum(dtype=np.float64)) for text, image in view.both())
    return total / len(view.pairs.text)


def cosine(left: Float[np.ndarray, "n d"], right: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Row by row; zero where a row is of zeros."""
    dot = np.vecdot(left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0)


def recall(view: View, gallery: int, seed: int) -> dict[str, float]:
    """R@1, 5 and 10 both ways among so many pairs at most, drawn by the seed: `1/text_to_image` and so on.

    The right one's rank is that by cosine; among equals it is drawn, so that equal vectors find each other by chance.
    """
    rows = chosen(len(view.pairs.text), gallery, seed)
    text, image = unit(view.text(rows)), unit(view.image(rows))
    ways = {"text_to_image": (text, image), "image_to_text": (image, text)}
    return {
        f"{rank}/{way}": value
        for way, sides in ways.items()
        for rank, value in zip(RANKS, _recall(*sides), strict=True)
    }


def _recall(queries: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " ranks"]:
    found = np.zeros(len(RANKS))
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        scores = queries[start : start + _QUERIES_AT_ONCE] @ gallery.T
        own = scores[np.arange(len(scores)), np.arange(start, start + len(scores))][:, np.newaxis]
        before, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        found += [np.clip((rank - before) / equal, 0, 1).sum() for rank in RANKS]
    return found / len(queries)
