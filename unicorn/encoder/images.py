"""What image towers of transformers have in common: pictures prepared by PIL, in batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from PIL.Image import Image


class PixelImageTower:
    """Pictures -> unit vectors: a processor makes tensors of them, and `embed` vectors of those, of any norm."""

    def __init__(
        self,
        embed: Callable[[Mapping[str, Tensor]], Float[Tensor, "n d"]],
        processor: Any,
        *,
        dimension: int,
        images_per_batch: int,
    ) -> None:
        self._embed = embed
        self._processor = processor
        self._dimension = dimension
        self._images_per_batch = images_per_batch

    @torch.inference_mode()
    def encode(self, images: "Sequence[Image]") -> Float[Tensor, "n d"]:
        """Unit-norm float32 vectors on the CPU, row by row those of `images`."""
        vectors = torch.empty(len(images), self._dimension)
        for start in range(0, len(images), self._images_per_batch):
            few = [image.convert("RGB") for image in images[start : start + self._images_per_batch]]
            prepared = self._processor(few, return_tensors="pt")
            vectors[start : start + len(few)] = functional.normalize(self._embed(prepared).float(), dim=-1).cpu()
        return vectors
