"""CLIP (arXiv 2103.00020): any checkpoint of transformers' CLIP, text and images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from unicorn.encoder.checkpoint import fetch
from unicorn.encoder.halves import HalvesSettings

if TYPE_CHECKING:
    from unicorn.encoder.clip_towers import CLIPTextTower
    from unicorn.encoder.images import PixelImageTower


@dataclass(kw_only=True)
class CLIPSettings(HalvesSettings):
    """Which checkpoint, and how it is run. Its text half reads 77 tokens, less than most dense captions have."""

    checkpoint: str = "openai/clip-vit-large-patch14-336"
    revision: str = "ce19dc912ca5cd21c8a653c79e251e808ccabcd1"
    dimension: int = 768

    encoder: ClassVar[str] = "clip"
    kinds: ClassVar[tuple[str, ...]] = ("clip",)

    def dimension_of(self, config: Any) -> int:
        """Of the projection that both halves end with."""
        return config.projection_dim

    def text_tower(self) -> "CLIPTextTower":
        """Load the text half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.clip_towers import load_clip_text_tower

        return load_clip_text_tower(fetch(self.checkpoint, self.revision), self._half(self.tokens_per_batch))

    def image_tower(self) -> "PixelImageTower":
        """Load the image half. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.clip_towers import load_clip_image_tower

        folder = fetch(self.checkpoint, self.revision)
        return load_clip_image_tower(folder, folder, self._half(self.images_per_batch))
