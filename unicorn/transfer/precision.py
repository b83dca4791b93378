"""From the float16 that vectors are stored in to the float32 that they are reckoned in."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32

if TYPE_CHECKING:
    import torch


def widened(vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """The vectors in float32; those that are of it already are not copied.

    torch has the processor convert float16, at the speed of memory; NumPy does it in software, many times slower.
    """
    if vectors.dtype != np.float16:
        return vectors.astype(np.float32, copy=False)
    import torch

    return torch.from_dlpack(vectors).float().numpy()  # DLPack takes memory that is only read, as mapped files are


class _Block(threading.local):
    """Where a thread widens one block after the other: half the time of new memory for each."""

    def __init__(self) -> None:
        self._block: torch.Tensor | None = None

    def of(self, rows: int, dimension: int) -> "torch.Tensor":
        import torch

        if self._block is None or len(self._block) < rows or self._block.shape[1] != dimension:
            self._block = torch.empty(rows, dimension)
        return self._block


_block = _Block()


def widened_blocks(vectors: Float[np.ndarray, "n d"], rows: int) -> Iterator[Float32[np.ndarray, "rows d"]]:
    """The vectors in float32, so many rows at a time; a block lies where the one before did, in any such call.

    A thread is through with one call's blocks before it makes another call.
    """
    if vectors.dtype != np.float16:
        yield from (widened(vectors[start : start + rows]) for start in range(0, len(vectors), rows))
        return
    import torch

    block = _block.of(rows, vectors.shape[1])
    for part in torch.from_dlpack(vectors).split(rows):
        yield block[: len(part)].copy_(part).numpy()
