"""SigLIP 2 (arXiv 2502.14786) of fixed resolution, and SigLIP (arXiv 2303.15343), which has the same form."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unicorn.encoder.checkpoint import Checkpoint, Dtype, fetch, identity

if TYPE_CHECKING:
    from unicorn.encoder.images import PixelImageTower
    from unicorn.encoder.siglip_towers import SigLIPTextTower


@dataclass(kw_only=True)
class SigLIP2Settings:
    """Which checkpoint, and how it is run. Its text half reads 64 tokens, less than most dense captions have."""

    checkpoint: str = "google/siglip2-so400m-patch14-384"
    """A folder, or a name on the Hub."""
    revision: str = "e8e487298228002f3d8a82e0cd5c8ea9c567f57f"
    dimension: int = 1152
    dtype: Dtype = Dtype.float32
    device: str = "auto"
    tokens_per_batch: int = 16_384
    images_per_batch: int = 64

    @property
    def space(self) -> str:
        """Name of the shared space: the checkpoint."""
        return f"siglip2:{identity(self.checkpoint, self.revision)}"

    def image_checkpoints(self) -> dict[str, Checkpoint]:
        """The checkpoint, with both halves."""
        return {"checkpoint": Checkpoint(self.checkpoint, self.revision)}

    def text_tower(self) -> "SigLIPTextTower":
        """Load the text half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.siglip_towers import load_siglip_text_tower

        return load_siglip_text_tower(
            fetch(self.checkpoint, self.revision),
            dimension=self.dimension,
            dtype=self.dtype.value,
            device=self.device,
            tokens_per_batch=self.tokens_per_batch,
        )

    def image_tower(self) -> "PixelImageTower":
        """Load the image half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.siglip_towers import load_siglip_image_tower

        return load_siglip_image_tower(
            fetch(self.checkpoint, self.revision),
            dimension=self.dimension,
            dtype=self.dtype.value,
            device=self.device,
            images_per_batch=self.images_per_batch,
        )
