"""The two towers of the world: a picture and a text become unit vectors of one space.

Both are ordinary Hugging Face models, each loaded alone. The image tower keeps where things are (its last feature map
is flattened, not averaged); the text tower reads in both directions and looks at its words through several learned
queries, so that which colour belongs to which shape survives the pooling.
"""

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

# Spread of the last bias at first: each tower begins in a cone of its own, as towers with a past of their own do, and
# the gap between them lasts (arXiv 2203.02053).
_CONE = 1.0


class ImageTowerConfig(PretrainedConfig):
    """Pixels a side, channels of the convolutions, width of the hidden layer, dimension of the shared space."""

    model_type = "scenes_image_tower"

    def __init__(
        self,
        image_size: int = 48,
        channels: tuple[int, ...] = (32, 48, 64, 96, 128),
        hidden_size: int = 256,
        dimension: int = 192,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size
        self.channels = tuple(channels)
        self.hidden_size = hidden_size
        self.dimension = dimension


class ImageTower(PreTrainedModel):
    """A convolutional network of pictures of the world."""

    config_class = ImageTowerConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__(config)
        layers: list[nn.Module] = []
        channels, side = 3, config.image_size
        for index, width in enumerate(config.channels):
            stride = 2 - index % 2
            layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.GELU()]
            channels, side = width, side // stride
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(channels * side * side + channels, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.dimension),
        )
        nn.init.normal_(cast("nn.Linear", self.head[-1]).bias, std=_CONE)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initial values are kept."""

    def forward(self, pixel_values: Int[Tensor, "batch height width 3"]) -> Float[Tensor, "batch dimension"]:
        """Unit vectors of RGB pictures with values from 0 to 255."""
        pixels = (pixel_values.to(self.dtype) / 127.5 - 1).permute(0, 3, 1, 2)
        features = self.convolutions(pixels)
        pooled = torch.cat([features.flatten(1), features.amax((2, 3))], 1)  # what is where, and what is anywhere
        return nn.functional.normalize(self.head(pooled), dim=-1)


class TextTowerConfig(PretrainedConfig):
    """Size of the encoder, number of pooling queries, dimension of the shared space."""

    model_type = "scenes_text_tower"

    def __init__(
        self,
        vocab_size: int = 0,
        hidden_size: int = 128,
        intermediate_size: int = 384,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 4,
        queries: int = 12,
        max_position_embeddings: int = 128,
        dimension: int = 192,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.queries = queries
        self.max_position_embeddings = max_position_embeddings
        self.dimension = dimension


class TextTower(PreTrainedModel):
    """A bidirectional transformer of captions of the world."""

    config_class = TextTowerConfig
    main_input_name = "input_ids"

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__(config)
        width, heads = config.hidden_size, config.num_attention_heads
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_position_embeddings, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, config.intermediate_size, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, config.num_hidden_layers, nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.queries = nn.Parameter(torch.randn(config.queries, width))
        self.pooling = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(config.queries * width, config.dimension)
        nn.init.normal_(self.head.bias, std=_CONE)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initial values are kept."""

    def forward(
        self, input_ids: Int[Tensor, "batch length"], attention_mask: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch dimension"]:
        """Unit vectors of token sequences, padded on the right."""
        padding = attention_mask == 0
        hidden = self.tokens(input_ids) + self.positions.weight[: input_ids.shape[1]]
        hidden = self.encoder(hidden, src_key_padding_mask=padding)
        queries = self.queries.expand(len(hidden), -1, -1)
        pooled, _ = self.pooling(queries, hidden, hidden, key_padding_mask=padding, need_weights=False)
        return nn.functional.normalize(self.head(pooled.flatten(1)), dim=-1)
