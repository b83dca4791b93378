"""SigLIP 2 (arXiv 2502.14786), fixed in resolution or in pictures' own shape (NaFlex), and SigLIP (2303.15343)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from unicorn.encoder.checkpoint import fetch
from unicorn.encoder.halves import HalvesSettings

if TYPE_CHECKING:
    from unicorn.encoder.images import PixelImageTower
    from unicorn.encoder.siglip_towers import SigLIPTextTower


@dataclass(kw_only=True)
class SigLIP2Settings(HalvesSettings):
    """Which checkpoint, and how it is run. Its text half reads 64 tokens, less than most dense captions have."""

    checkpoint: str = "google/siglip2-so400m-patch14-384"
    revision: str = "e8e487298228002f3d8a82e0cd5c8ea9c567f57f"
    dimension: int = 1152

    encoder: ClassVar[str] = "siglip2"
    kinds: ClassVar[tuple[str, ...]] = ("siglip", "siglip2")

    def dimension_of(self, config: Any) -> int:
        """Of the projection that the text half ends with."""
        return config.text_config.projection_size

    def text_tower(self) -> "SigLIPTextTower":
        """Load the text half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.siglip_towers import load_siglip_text_tower

        return load_siglip_text_tower(fetch(self.checkpoint, self.revision), self._half(self.tokens_per_batch))

    def image_tower(self) -> "PixelImageTower":
        """Load the image half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.siglip_towers import load_siglip_image_tower

        return load_siglip_image_tower(fetch(self.checkpoint, self.revision), self._half(self.images_per_batch))
