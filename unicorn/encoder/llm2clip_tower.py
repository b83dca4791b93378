"""The text tower of LLM2CLIP on transformers' own Llama: no remote code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from unicorn.encoder.checkpoint import read_weights
from unicorn.encoder.halves import Half
from unicorn.encoder.pretrained import load_half, load_tokenizer, read_config
from unicorn.encoder.texts import TokenTextTower, pad
from unicorn.errors import UserError

if TYPE_CHECKING:
    from transformers import LlamaModel, PreTrainedTokenizerFast

ADAPTER = "text_adapter.adaptor."
HEADER, END = "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"


class ResidualBlock(nn.Module):
    """x + fn(ln(x)), named as in the published checkpoint."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(width)
        # The published block has a dropout third, which does nothing here but move the last layer's name to 3.
        self.fn = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, width))

    def forward(self, vectors: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
        """The block's output."""
        return vectors + self.fn(self.ln(vectors))


def build_adapter(weights: Mapping[str, Tensor]) -> nn.Sequential:
    """Residual blocks, LayerNorm and a projection into the shared space, of the weights' own sizes.

    Raises UserError if the weights are not those of such an adapter.
    """
    try:
        blocks = 1 + max((int(name.split(".")[0]) for name in weights if ".fn." in name), default=-1)
        inner, width = weights["0.fn.0.weight"].shape
        projection = weights[f"{blocks + 1}.weight"]
        with torch.device("meta"):
            adapter = nn.Sequential(
                *(ResidualBlock(width, inner) for _ in range(blocks)),
                nn.LayerNorm(width),
                nn.Linear(width, len(projection), bias=f"{blocks + 1}.bias" in weights),
            )
        adapter.load_state_dict(dict(weights), assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the weights under {ADAPTER}* are no adapter of LLM2CLIP: {' '.join(str(error).split())[:200]} "
            "Choose another encoder.checkpoint."
        ) from error
    return adapter


class LLM2CLIPTextTower(TokenTextTower):
    """Captions -> unit vectors: Llama in both directions, mean over a caption's tokens, adapter (arXiv 2411.04997)."""

    def __init__(
        self,
        language_model: "LlamaModel",
        adapter: nn.Sequential,
        tokenizer: "PreTrainedTokenizerFast",
        *,
        context: int,
        tokens_per_batch: int,
    ) -> None:
        projection = cast("nn.Linear", adapter[-1])
        super().__init__(context=context, dimension=projection.out_features, tokens_per_batch=tokens_per_batch)
        self._language_model = language_model
        self._adapter = adapter.eval()
        self._tokenizer = tokenizer
        self._header = len(tokenizer(HEADER)["input_ids"])

    @classmethod
    def load(cls, *, adapter: Path, language_model: Path, context: int, half: Half) -> Self:
        """Load from two folders. Raises UserError, in a line, for what is none of LLM2CLIP's."""
        from transformers import LlamaModel

        head = build_adapter(read_weights(adapter, ADAPTER))
        config = read_config(language_model, "llama")
        projection = cast("nn.Linear", head[-1])
        if (config.hidden_size, half.dimension) != (projection.in_features, projection.out_features):
            raise UserError(
                f"the adapter in {adapter} takes {projection.in_features} dimensions to {projection.out_features}; the "
                f"language model in {language_model} makes {config.hidden_size}, and encoder.dimension is "
                f"{half.dimension}. Choose those that fit."
            )
        model = load_half(LlamaModel, config, language_model, half)
        tokenizer = load_tokenizer(language_model)
        return cls(
            model, head.to(model.device, model.dtype), tokenizer, context=context, tokens_per_batch=half.per_batch
        )

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokenizer([HEADER + text.strip() + END for text in texts])["input_ids"]

    def _embed(self, ids: list[list[int]]) -> Float[Tensor, "n d"]:
        lengths = torch.tensor([len(row) for row in ids])
        tokens = pad(ids, 0)
        places = torch.arange(tokens.shape[1])
        real: Bool[Tensor, "n length"] = places < lengths[:, None]
        # Four dimensions, all of them said: a mask of two is made causal, whatever the layers' flags say.
        mask = real[:, None, None, :].expand(-1, 1, tokens.shape[1], -1)
        device = self._language_model.device
        states = self._language_model(
            input_ids=tokens.to(device), attention_mask=mask.to(device), use_cache=False
        ).last_hidden_state
        pooled = (real & (places >= self._header)).to(device)  # the caption and its end, not the frame before it
        total = (states.float() * pooled[..., None]).sum(dim=1)
        means = functional.normalize(total / pooled.sum(dim=1, keepdim=True), dim=-1)
        return self._adapter(means.to(states.dtype))
