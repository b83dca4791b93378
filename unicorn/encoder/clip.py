"""CLIP (arXiv 2103.00020): any checkpoint of transformers' CLIP, text and images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unicorn.encoder.checkpoint import Checkpoint, Dtype, fetch, identity

if TYPE_CHECKING:
    from unicorn.encoder.clip_towers import CLIPTextTower
    from unicorn.encoder.images import PixelImageTower


@dataclass(kw_only=True)
class CLIPSettings:
    """Which checkpoint, and how it is run. Its text half reads 77 tokens, less than most dense captions have."""

    checkpoint: str = "openai/clip-vit-large-patch14-336"
    """A folder, or a name on the Hub."""
    revision: str = "ce19dc912ca5cd21c8a653c79e251e808ccabcd1"
    dimension: int = 768
    dtype: Dtype = Dtype.float32
    device: str = "auto"
    tokens_per_batch: int = 16_384
    images_per_batch: int = 64

    @property
    def space(self) -> str:
        """Name of the shared space: the checkpoint."""
        return f"clip:{identity(self.checkpoint, self.revision)}"

    def image_checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoint, with both halves."""
        return {"checkpoint": Checkpoint(self.checkpoint, self.revision)}

    def text_tower(self) -> "CLIPTextTower":
        """Load the text half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.clip_towers import load_clip_text_tower

        return load_clip_text_tower(
            fetch(self.checkpoint, self.revision),
            dimension=self.dimension,
            dtype=self.dtype.value,
            device=self.device,
            tokens_per_batch=self.tokens_per_batch,
        )

    def image_tower(self) -> "PixelImageTower":
        """Load the image half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.clip_towers import load_clip_image_tower

        folder = fetch(self.checkpoint, self.revision)
        return load_clip_image_tower(
            folder,
            folder,
            dimension=self.dimension,
            dtype=self.dtype.value,
            device=self.device,
            images_per_batch=self.images_per_batch,
        )
