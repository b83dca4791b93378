"""From the float16 that vectors are stored in to the float32 that they are reckoned in."""

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
