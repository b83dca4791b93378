"""The projector: an image vector -> the visual tokens that the language model reads."""

from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unicorn.model.configuration import UnicornConfig
from unicorn.model.settings import VisualMode


class Projector(nn.Module):
    """Linear-GELU-...-Linear; the last makes all visual tokens of an image (`learned`), or one to copy."""

    def __init__(self, config: UnicornConfig) -> None:
        super().__init__()
        hidden: int = config.get_text_config().hidden_size
        width = config.projector_width or hidden
        self.visual_tokens = config.visual_tokens
        self.made = config.visual_tokens if config.visual_mode == VisualMode.learned else 1
        sizes = [config.embedding_dimension, *[width] * (config.projector_layers - 1), hidden * self.made]
        layers: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
        for inputs, outputs in pairwise(sizes[1:]):
            layers += [nn.GELU(), nn.Linear(inputs, outputs)]
        self.layers = nn.Sequential(*layers)

    @property
    def dtype(self) -> torch.dtype:
        """The type that it computes in."""
        return cast("nn.Linear", self.layers[0]).weight.dtype

    def forward(self, vectors: Float[Tensor, "images d"]) -> Float[Tensor, "images tokens hidden"]:
        """The visual tokens of each image."""
        # Unit vectors have components of about d**-0.5; layers are initialised for inputs of about one.
        tokens = self.layers(vectors * vectors.shape[-1] ** 0.5).unflatten(-1, (self.made, -1))
        return tokens.expand(-1, self.visual_tokens, -1)
