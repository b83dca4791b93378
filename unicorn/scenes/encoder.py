"""The towers of the world as an encoder, as configuration names it."""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unicorn.scenes import WEIGHTS

if TYPE_CHECKING:
    from unicorn.scenes.encoding import SceneImageTower, SceneTextTower

IMAGE_TOWER = "image_tower"
TEXT_TOWER = "text_tower"


@dataclass(kw_only=True)
class SceneEncoderSettings:
    """The two towers that the package ships."""

    batch_size: int = 256

    @property
    def space(self) -> str:
        """Name of the space, with a digest of the weights: new towers share no space with old ones."""
        digest = hashlib.sha256()
        for tower in (IMAGE_TOWER, TEXT_TOWER):
            digest.update((WEIGHTS / tower / "model.safetensors").read_bytes())
        return f"scenes-{digest.hexdigest()[:12]}"

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return json.loads((WEIGHTS / TEXT_TOWER / "config.json").read_text())["dimension"]

    @property
    def made_by(self) -> dict[str, Any]:
        """All that text vectors depend on beside the space."""
        return {"dimension": self.dimension}

    def require(self) -> None:
        """Nothing: the towers come with the package."""

    def text_tower(self) -> "SceneTextTower":
        """Load the text tower."""
        import torch
        from transformers import PreTrainedTokenizerFast

        from unicorn.scenes.encoding import SceneTextTower
        from unicorn.scenes.towers import TextTower

        tower = TextTower.from_pretrained(WEIGHTS / TEXT_TOWER, dtype=torch.float32)
        return SceneTextTower(tower, PreTrainedTokenizerFast.from_pretrained(WEIGHTS / TEXT_TOWER), self.batch_size)

    def image_tower(self) -> "SceneImageTower":
        """Load the image tower."""
        import torch

        from unicorn.scenes.encoding import SceneImageTower
        from unicorn.scenes.towers import ImageTower

        tower = ImageTower.from_pretrained(WEIGHTS / IMAGE_TOWER, dtype=torch.float32)
        return SceneImageTower(tower, self.batch_size)
