"""The two halves of CLIP (arXiv 2103.00020) on transformers' own classes, loaded apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from unicorn.encoder.halves import Half
from unicorn.encoder.images import PixelImageTower
from unicorn.encoder.pretrained import check_dimension, load_half, load_preparation, load_tokenizer, read_config
from unicorn.encoder.texts import TokenTextTower, pad

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class CLIPTextTower(TokenTextTower):
    """A causal transformer, whose vector of the token that ends a text is projected."""

    def __init__(self, model: Any, tokenizer: "PreTrainedTokenizerFast", tokens_per_batch: int) -> None:
        config = model.config
        super().__init__(
            context=config.max_position_embeddings, dimension=config.projection_dim, tokens_per_batch=tokens_per_batch
        )
        self._model = model
        self._tokenizer = tokenizer

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokenizer(list(texts))["input_ids"]

    def _embed(self, ids: list[list[int]]) -> Float[Tensor, "n d"]:
        # No mask: no token sees those after it, so none sees padding, which 0 keeps from being taken for the end.
        return self._model(input_ids=pad(ids, 0).to(self._model.device)).text_embeds


def load_clip_text_tower(folder: Path, half: Half) -> CLIPTextTower:
    """CLIP's text half. Raises UserError, in a line, for what is no whole CLIP of that dimension."""
    from transformers import CLIPTextModelWithProjection

    config = _config(folder, half.dimension)
    model = load_half(CLIPTextModelWithProjection, config.text_config, folder, half)
    return CLIPTextTower(model, load_tokenizer(folder), half.per_batch)


def load_clip_image_tower(folder: Path, preparation: Path, half: Half) -> PixelImageTower:
    """CLIP's image half, of weights in `folder` and preprocessing in `preparation`. Raises as the text half."""
    from transformers import CLIPVisionModelWithProjection
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    config = _config(folder, half.dimension)
    model = load_half(CLIPVisionModelWithProjection, config.vision_config, folder, half)

    def embed(prepared: Mapping[str, Tensor]) -> Float[Tensor, "n d"]:
        return model(prepared["pixel_values"].to(model.device, model.dtype)).image_embeds

    # By PIL wherever torchvision is or is not: the two resize differently.
    prepare = load_preparation(CLIPImageProcessorPil, preparation)
    return PixelImageTower(embed, prepare, dimension=half.dimension, images_per_batch=half.per_batch)


def _config(folder: Path, dimension: int) -> Any:
    config = read_config(folder, "clip")
    check_dimension(folder, config.projection_dim, dimension)
    config.text_config.projection_dim = config.vision_config.projection_dim = dimension
    return config
