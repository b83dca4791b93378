"""Whether each vector finds its own partner first, one by one, so that two ways of finding can be compared in pairs."""

import numpy as np
from jaxtyping import Float, Float64, Int64

_QUERIES_AT_ONCE = 1024


def found_first(
    queries: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "m d"], own: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """R@1 of each query: 1 if row `own` of the gallery is nearest by cosine, 1 / k if k rows are as near, else 0.

    Rows are of unit norm, or zero.
    """
    found = np.empty(len(queries))
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        scores = queries[rows] @ gallery.T
        right = np.take_along_axis(scores, own[rows, np.newaxis], axis=1)
        found[rows] = ~(scores > right).any(axis=1) / (scores == right).sum(axis=1)
    return found
