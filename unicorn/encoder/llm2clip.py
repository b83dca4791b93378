"""LLM2CLIP (arXiv 2411.04997): a language model that reads both ways, an adapter, and CLIP's image tower."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unicorn.encoder.checkpoint import Checkpoint, Dtype, fetch, fetch_configuration, fetch_preparation, identity
from unicorn.encoder.halves import Half

if TYPE_CHECKING:
    from unicorn.encoder.images import PixelImageTower
    from unicorn.encoder.llm2clip_tower import LLM2CLIPTextTower


@dataclass(kw_only=True)
class LLM2CLIPSettings:
    """The released pair of the paper.

    Two more make 1280 dimensions from the same language model, each by an adapter of its own, so each is another space:
    encoder=llm2clip_l14_224 and encoder=llm2clip_b16.
    """

    checkpoint: str = "microsoft/LLM2CLIP-Openai-L-14-336"
    """Image tower and adapter: a folder, or a name on the Hub."""
    revision: str = "92512331f393a003c3d98404677f991c188162c9"
    language_model: str = "microsoft/LLM2CLIP-Llama-3-8B-Instruct-CC-Finetuned"
    language_model_revision: str = "main"
    image_processor: str = "openai/clip-vit-large-patch14-336"
    image_processor_revision: str = "ce19dc912ca5cd21c8a653c79e251e808ccabcd1"
    dimension: int = 1280
    context: int = 512
    """Tokens that are read of a text, its frame included."""
    dtype: Dtype = Dtype.bfloat16
    device: str = "auto"
    tokens_per_batch: int = 16_384
    images_per_batch: int = 64

    @property
    def space(self) -> str:
        """Name of the shared space: both checkpoints, how pictures are prepared, and how much of a text is read."""
        parts = (
            (self.checkpoint, self.revision),
            (self.language_model, self.language_model_revision),
            (self.image_processor, self.image_processor_revision),
        )
        return "llm2clip:" + "+".join(
            [*(identity(name, revision) for name, revision in parts), f"{self.context} tokens"]
        )

    @property
    def made_by(self) -> dict[str, Any]:
        """All that text vectors depend on beside the space."""
        return {"dimension": self.dimension, "context": self.context, "dtype": self.dtype.value}

    def image_checkpoints(self) -> dict[str, Checkpoint]:
        """Image tower with adapter, and of CLIP how pictures are prepared; not the language model."""
        return {
            "checkpoint": Checkpoint(self.checkpoint, self.revision),
            "image_processor": Checkpoint(self.image_processor, self.image_processor_revision, weights=False),
        }

    def require(self) -> None:
        """Raise UserError, in a line, unless there is such a checkpoint, and a Llama as language model."""
        from unicorn.encoder.pretrained import read_config

        fetch_configuration(self.checkpoint, self.revision)
        read_config(fetch_configuration(self.language_model, self.language_model_revision), "llama")

    def text_tower(self) -> "LLM2CLIPTextTower":
        """Load language model and adapter. Raises UserError, in a line, where either cannot be."""
        from unicorn.encoder.llm2clip_tower import LLM2CLIPTextTower

        return LLM2CLIPTextTower.load(
            adapter=fetch(self.checkpoint, self.revision),
            language_model=fetch(self.language_model, self.language_model_revision),
            context=self.context,
            half=self._half(self.tokens_per_batch),
        )

    def image_tower(self) -> "PixelImageTower":
        """Load the image tower. Raises UserError, in a line, where it cannot be."""
        from unicorn.encoder.clip_towers import load_clip_image_tower

        return load_clip_image_tower(
            fetch(self.checkpoint, self.revision),
            fetch_preparation(self.image_processor, self.image_processor_revision),
            self._half(self.images_per_batch),
        )

    def _half(self, per_batch: int) -> Half:
        return Half(dimension=self.dimension, dtype=self.dtype.value, device=self.device, per_batch=per_batch)
