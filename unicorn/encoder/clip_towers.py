"""Towers of CLIP and its kin on transformers' own classes, text and image loaded apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from unicorn.device import choose_device
from unicorn.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image


class CLIPImageTower:
    """Pictures -> unit vectors: CLIP's vision transformer and projection (arXiv 2103.00020)."""

    def __init__(self, model: Any, processor: Any, images_per_batch: int) -> None:
        self._model = model.eval()
        self._processor = processor
        self._images_per_batch = images_per_batch

    @classmethod
    def load(
        cls, folder: Path, processor: Path, *, dimension: int, dtype: str, device: str, images_per_batch: int
    ) -> Self:
        """Load from two folders, weights and preprocessing. Raises UserError, in a line, for what is no CLIP."""
        from transformers import CLIPConfig, CLIPVisionModelWithProjection
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        try:
            config = cast("Any", CLIPConfig.from_pretrained(folder))
            config.vision_config.projection_dim = config.projection_dim
            model, report = cast("Any", CLIPVisionModelWithProjection).from_pretrained(
                folder, config=config.vision_config, dtype=getattr(torch, dtype), output_loading_info=True
            )
            # By PIL wherever torchvision is or is not: the two resize differently.
            prepare = CLIPImageProcessorPil.from_pretrained(processor)
        except (OSError, ValueError) as error:
            raise UserError(
                f"cannot load the image tower in {folder}: {str(error).splitlines()[0]} Check encoder.checkpoint."
            ) from error
        if report["missing_keys"]:
            raise UserError(
                f"no whole image tower of CLIP in {folder}: it lacks {min(report['missing_keys'])}. Choose another."
            )
        if config.projection_dim != dimension:
            raise UserError(
                f"the image tower in {folder} makes {config.projection_dim} dimensions, and encoder.dimension is "
                f"{dimension}. Set encoder.dimension={config.projection_dim}, or choose another encoder.checkpoint."
            )
        return cls(model.to(choose_device(device)), prepare, images_per_batch)

    @torch.inference_mode()
    def encode(self, images: "Sequence[Image]") -> Float[Tensor, "n d"]:
        """Unit-norm float32 vectors on the CPU, row by row those of `images`."""
        vectors: list[Tensor] = []
        for start in range(0, len(images), self._images_per_batch):
            few = [image.convert("RGB") for image in images[start : start + self._images_per_batch]]
            pixels = self._processor(few, return_tensors="pt")["pixel_values"]
            embeds = self._model(pixels.to(self._model.device, self._model.dtype)).image_embeds
            vectors.append(functional.normalize(embeds.float(), dim=-1).cpu())
        return torch.cat(vectors) if vectors else torch.empty(0, self._model.config.projection_dim)
