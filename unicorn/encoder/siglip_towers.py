"""The two halves of SigLIP (arXiv 2303.15343) and SigLIP 2 (arXiv 2502.14786), loaded apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from unicorn.encoder.halves import Half
from unicorn.encoder.images import PixelImageTower
from unicorn.encoder.pretrained import check_dimension, load_half, load_preparation, load_tokenizer, read_config
from unicorn.encoder.texts import TokenTextTower

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

NAFLEX = "siglip2"
"""The kind of SigLIP 2 that takes pictures in their own shape; that of fixed resolution is of SigLIP's."""

KINDS = ("siglip", NAFLEX)


class SigLIPTextTower(TokenTextTower):
    """A transformer that reads both ways, whose last place is projected.

    Texts are as they were in training, whatever a checkpoint's tokenizer would do: in lower case, with one token
    that ends them, and padded on the right to the whole context, padding being read like any other token.
    """

    def __init__(self, model: Any, tokenizer: "PreTrainedTokenizerFast", tokens_per_batch: int) -> None:
        config = model.config
        super().__init__(
            context=config.max_position_embeddings, dimension=config.projection_size, tokens_per_batch=tokens_per_batch
        )
        self._model = model
        self._tokenizer: Any = tokenizer

    def _padded(self, length: int) -> int:
        return self.context

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        lower = [text.lower() for text in texts]
        rows: list[list[int]] = self._tokenizer(lower, add_special_tokens=False)["input_ids"]
        return [[*row, self._tokenizer.eos_token_id] for row in rows]

    def _embed(self, ids: list[list[int]]) -> Float[Tensor, "n d"]:
        tokens = torch.full((len(ids), self.context), self._tokenizer.pad_token_id)
        for row, few in zip(tokens, ids, strict=True):
            row[: len(few)] = torch.tensor(few)
        return self._model(input_ids=tokens.to(self._model.device)).pooler_output


def load_siglip_text_tower(folder: Path, half: Half) -> SigLIPTextTower:
    """SigLIP's text half. Raises UserError, in a line, for what is no whole SigLIP of that dimension."""
    from transformers import Siglip2TextModel, SiglipTextModel

    config = read_config(folder, *KINDS)
    check_dimension(folder, config.text_config.projection_size, half.dimension)
    architecture = Siglip2TextModel if config.model_type == NAFLEX else SiglipTextModel
    model = load_half(architecture, config.text_config, folder, half)
    return SigLIPTextTower(model, load_tokenizer(folder), half.per_batch)


def load_siglip_image_tower(folder: Path, half: Half) -> PixelImageTower:
    """SigLIP's image half. Raises as the text half."""
    from transformers import Siglip2VisionModel, SiglipVisionModel
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    config = read_config(folder, *KINDS)
    check_dimension(folder, config.vision_config.hidden_size, half.dimension)
    architecture, processor = SiglipVisionModel, SiglipImageProcessorPil
    if config.model_type == NAFLEX:
        architecture, processor = Siglip2VisionModel, Siglip2ImageProcessorPil
    model = load_half(architecture, config.vision_config, folder, half)

    def embed(prepared: Mapping[str, Tensor]) -> Float[Tensor, "n d"]:
        # Pixels alone; of any shape they are patches, with which of them are real and how they lie.
        values = {name: tensor.to(model.device) for name, tensor in prepared.items()}
        return model(**values | {"pixel_values": values["pixel_values"].to(model.dtype)}).pooler_output

    # By PIL wherever torchvision is or is not: the two resize differently.
    prepare = load_preparation(processor, folder)
    return PixelImageTower(embed, prepare, dimension=half.dimension, images_per_batch=half.per_batch)
