"""What the bench of encoding encodes, and with what: captions, a model, and three ways to run it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from unicorn.encoder.texts import TokenTextTower, pad
from unicorn.records import Caption

WORDS = 8000
CONTEXT = 512
PLAIN_BATCH = 32
"""Of the plain loop, and what sentence-transformers does by default."""


class BertTower(TokenTextTower):
    """The mean of BERT's last states as a text tower."""

    def __init__(self, model: BertModel, tokenizer: PreTrainedTokenizerFast, tokens_per_batch: int) -> None:
        super().__init__(context=CONTEXT, dimension=model.config.hidden_size, tokens_per_batch=tokens_per_batch)
        self._model = model
        self._tokenizer = tokenizer

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokenizer(list(texts), return_attention_mask=False, return_token_type_ids=False)["input_ids"]

    def _embed(self, ids: list[list[int]]) -> Float[Tensor, "n d"]:
        tokens = pad(ids, 0)
        return mean_states(self._model, tokens, tokens != 0)


def mean_states(model: BertModel, tokens: Tensor, real: Tensor) -> Float[Tensor, "n d"]:
    """The mean of the last states over real tokens."""
    states = model(input_ids=tokens, attention_mask=real.long()).last_hidden_state
    return (states * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)


@torch.inference_mode()
def plain(model: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Float32[np.ndarray, "n d"]:
    """The loop that everybody writes first."""
    vectors: list[Tensor] = []
    for start in range(0, len(texts), PLAIN_BATCH):
        batch = tokenizer(list(texts[start : start + PLAIN_BATCH]), padding=True, return_tensors="pt")
        vectors.append(normalize(mean_states(model, batch["input_ids"], batch["attention_mask"].bool()), dim=-1))
    return torch.cat(vectors).numpy()


def generate_captions(count: int, first: int = 0) -> list[Caption]:
    """Captions of 40 to 500 words, 130 or so on average."""
    random = np.random.default_rng([0, first])
    lengths = np.exp(random.normal(np.log(120), 0.55, count)).clip(40, 500).astype(int)
    return [
        Caption(
            id=f"caption-{first + row}",
            text=" ".join(f"w{number}" for number in random.integers(0, WORDS, length)),
            domain="open",
            generator="generated",
            prompt_version="1",
        )
        for row, length in enumerate(lengths)
    ]


def save_model(folder: Path) -> None:
    """A BERT of MiniLM's shape with random weights, and a tokenizer of the captions' words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {
        token: number for number, token in enumerate(["[PAD]", "[UNK]", *(f"w{row}" for row in range(WORDS))])
    }
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=CONTEXT
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=CONTEXT,
    )
    BertModel(config).save_pretrained(folder)


def sentence_transformer(folder: Path) -> Any:
    """The same checkpoint as sentence-transformers runs it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(folder))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
