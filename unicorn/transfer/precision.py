"""From the float16 that vectors are stored in to the float32 that they are reckoned in."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32


def widened(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """The vectors in float32; those that are of it already are not copied.

    torch has the processor convert float16, at the speed of memory; NumPy does it in software, many times slower.
    """
    if vectors.dtype != np.float16:
        return vectors.astype(np.float32, copy=False)
    import torch

    return torch.from_dlpack(vectors).float().numpy()  # DLPack takes memory that is only read, as mapped files are


def widened_blocks(vectors: Float[np.ndarray, "n d"], rows: int) -> Iterator[Float32[np.ndarray, "rows d"]]:
    """The vectors in float32, so many rows at a time; a block may lie where the one before did.

    One place that stays in the processor's cache takes half the time of new memory for each.
    """
    if vectors.dtype != np.float16:
        yield from (widened(vectors[start : start + rows]) for start in range(0, len(vectors), rows))
        return
    import torch

    block = torch.empty(min(rows, len(vectors)), vectors.shape[1])
    for part in torch.from_dlpack(vectors).split(rows):
        yield block[: len(part)].copy_(part).numpy()
