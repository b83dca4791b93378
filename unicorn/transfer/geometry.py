"""The arithmetic that the transfers share: unit vectors, centring, and noise that belongs to a row."""

from math import inf

import numpy as np
from jaxtyping import Float, Float32

from unicorn.errors import UserError
from unicorn.transfer.transfer import NoiseKey


def require_noise(key: str, amount: float) -> None:
    """Raise UserError, naming the key, if noise of this amount cannot be drawn."""
    if not 0 <= amount < inf:
        raise UserError(f"{key}={amount} of a transfer's noise: must be 0 or more.")


def unit(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """n(x) = x / |x|, row by row; the zero vector stays zero."""
    norms = np.sqrt(np.vecdot(vectors, vectors))[:, np.newaxis]
    return vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def centred(vectors: Float[np.ndarray, "n d"], mean: Float[np.ndarray, "... d"]) -> Float32[np.ndarray, "n d"]:
    """The vectors less the mean, one for all or one for each, in float32.

    It is one arithmetic for text in training and images at inference.
    """
    return vectors.astype(np.float32, copy=False) - mean.astype(np.float32, copy=False)


def gaussian(key: NoiseKey, dimension: int) -> Float32[np.ndarray, "n d"]:
    """Standard normal noise, each row from its own stream of Philox (Salmon et al., SC 2011).

    Seed and epoch are the key of the cipher and the row is the high word of its counter, so that no two rows
    share a stream, and a row's noise depends on nothing but the three.
    """
    if dimension in key.drawn:
        return key.drawn[dimension]
    noise = np.empty((len(key.rows), dimension), np.float32)
    for row, target in zip(key.rows.tolist(), noise, strict=True):
        stream = np.random.Philox(key=[key.seed, key.epoch], counter=[0, 0, 0, row])
        np.random.Generator(stream).standard_normal(out=target, dtype=np.float32)
    key.drawn[dimension] = noise
    return noise
