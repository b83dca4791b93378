"""What pairs tell, one by one, and how often one finds the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Float32, Float64

from unicorn.evaluation.geometry.views import Sides, View, chosen, slices
from unicorn.transfer.geometry import unit
from unicorn.transfer.statistics import in_order

RANKS = (1, 5, 10)
_QUERIES_AT_ONCE = 1024
_ROWS_AT_ONCE = 1024
"""So few that a transfer's steps find them in the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class PairMeasures:
    """Of every pair: the cosine of its two vectors, that of its gap and the mean gap, and the residual's norm."""

    cosine: Float32[np.ndarray, " n"]
    direction: Float32[np.ndarray, " n"]
    residual_norm: Float32[np.ndarray, " n"]


def measure_pairs(sides: Sides, mean_gap: Float64[np.ndarray, " d"]) -> PairMeasures:
    """cos(u, v), cos(gap, g) and |gap - g| of every raw pair, with gap = v - u."""
    mean_gap = mean_gap.astype(np.float32)
    columns = list[tuple[Float32[np.ndarray, " n"], ...]]()
    for rows in slices(len(sides.text)):
        text, image = sides.text.of(rows), sides.image.of(rows)
        gap = image - text
        direction = cosine(gap, np.broadcast_to(mean_gap, gap.shape))
        columns.append((cosine(text, image), direction, np.linalg.norm(gap - mean_gap, axis=1)))
    cosines, directions, norms = map(np.concatenate, zip(*columns, strict=True))
    return PairMeasures(cosine=cosines, direction=directions, residual_norm=norms)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Of text and images under a transfer: |mean(v) - mean(u)| (Liang et al., arXiv 2203.02053), and mean cos(u, v).

    A vector of zeros has a cosine of zero with all others; without pairs there are no cosines.
    """

    gap_norm: float
    paired_cosine: float | None


def compare(views: Sequence[View]) -> dict[str, Compared]:
    """All views of the same two sides, in one pass over all rows."""
    sides = views[0].sides
    sums = [_Sums() for _ in views]
    calls = ((rows,) for rows in slices(max(len(sides.text), len(sides.image)), _ROWS_AT_ONCE))
    for parts in in_order(partial(_sums, views), calls):
        sums = [whole + part for whole, part in zip(sums, parts, strict=True)]
    return {
        view.name: Compared(
            gap_norm=float(np.linalg.norm(of.image / len(sides.image) - of.text / len(sides.text))),
            paired_cosine=of.cosine / len(sides.text) if sides.paired else None,
        )
        for view, of in zip(views, sums, strict=True)
    }


@dataclass(frozen=True, slots=True)
class _Sums:
    """Over rows: of text vectors, of image vectors, and of the cosines of both."""

    text: Float64[np.ndarray, " d"] | float = 0.0
    image: Float64[np.ndarray, " d"] | float = 0.0
    cosine: float = 0.0

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.text + other.text, self.image + other.image, self.cosine + other.cosine)


def _sums(views: Sequence[View], rows: slice) -> list[_Sums]:
    """Each row is read once for all views, and its noise is drawn once."""
    sides = views[0].sides
    texts = sides.texts(rows) if rows.start < len(sides.text) else None
    images = sides.image.of(rows) if rows.start < len(sides.image) else None
    parts = list[_Sums]()
    for view in views:
        text = None if texts is None else view.transfer.text(*texts)
        image = None if images is None else view.centring.transform(images)
        parts.append(
            _Sums(
                0.0 if text is None else text.sum(axis=0).astype(np.float64),
                0.0 if image is None else image.sum(axis=0).astype(np.float64),
                float(cosine(text, image).sum()) if sides.paired and text is not None and image is not None else 0.0,
            )
        )
    return parts


def cosine(left: Float[np.ndarray, "n d"], right: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    """Row by row; zero where a row is of zeros."""
    dot = np.vecdot(left, right)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0)


def recall(view: View, gallery: int, seed: int) -> dict[str, float]:
    """R@1, 5 and 10 both ways among so many pairs at most, drawn by the seed: `1/text_to_image` and so on.

    The right one's rank is that by cosine; among equals it is drawn, so that equal vectors find each other by chance.
    """
    rows = chosen(len(view.sides.text), gallery, seed)
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
