"""Recipes of a training step: Unicorn's, the published one, and all between them, lever by lever."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from bench.encoding_ways import generate_captions
from unicorn.data.conversation import ConversationTokenizer, Sample
from unicorn.data.packing import fill_rows
from unicorn.model.modeling import IGNORED, UnicornForConditionalGeneration
from unicorn.model.settings import Attention, Dtype, ModelSettings, VisualMode
from unicorn.records import Message, Role
from unicorn.training.align import AlignSettings
from unicorn.training.layers import prepare_layers
from unicorn.training.tune import LoraTuneSettings

DIMENSION = 1280
PUBLISHED_TOKENS = 576
ROW_LENGTH = 512
"""Of packed rows, or the longest sample's; short, since attention over a row is dense on a CPU."""
PACKED_ROWS = 2
"""Packed rows of a forward pass (`data.rows_per_pack`): the fewer, the less of it is padding."""
RANK = 16
"""Of tune's adapters: 4% as many weights as SmolLM2-135M has, the share that rank 128 is of Llama 3 8B."""
WORDS_OF_TWO_TOKENS = 3
"""One word in so many; so captions have as many tokens a word as English has."""


class Stage(StrEnum):
    """The two stages."""

    align = "align"
    tune = "tune"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a batch becomes a gradient. The defaults are Unicorn's; `PUBLISHED` is the other end."""

    visual_tokens: int = 1
    """576 copies of one projected vector, or one token."""
    frozen: bool = True
    """Gradients for what learns alone (align: the projector; tune: it and adapters), or for every weight."""
    packed: bool = True
    """Whole samples packed into rows, or each in a row of its own, padded to the longest."""
    chunked: bool = True
    """Logits of supervised positions, a chunk at a time, or of every position of the batch at once."""
    checkpointing: bool = False
    compiling: bool = False

    def changed(self, lever: str, other: "Recipe") -> "Recipe":
        """The same with one lever as in another."""
        return replace(self, **{lever: getattr(other, lever)})


UNICORN = Recipe()
PUBLISHED = Recipe(visual_tokens=PUBLISHED_TOKENS, frozen=False, packed=False, chunked=False)
LEVERS = {
    "visual_tokens": "one visual token",
    "frozen": "gradients for what learns alone",
    "packed": "packed rows",
    "chunked": "cross-entropy in chunks",
}
"""What the recipes differ in, and what Unicorn's side of it is called."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors of one forward pass; a mask where rows are padded, positions where they are packed."""

    input_ids: Int64[Tensor, "rows length"]
    labels: Int64[Tensor, "rows length"]
    image_embeds: Float[Tensor, "images d"]
    attention_mask: Int64[Tensor, "rows length"] | None = None
    position_ids: Int64[Tensor, "rows length"] | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        moved: dict[str, Any] = {name: each if each is None else each.to(device) for name, each in vars(self).items()}
        return Batch(**moved)


def make_module(
    stage: Stage,
    recipe: Recipe,
    language_model: str,
    dtype: Dtype = Dtype.float32,
    attention: Attention = Attention.sdpa,
) -> tuple[nn.Module, PreTrainedTokenizerFast]:
    """The module to train, its projector the same in every recipe."""
    torch.manual_seed(0)
    model, tokenizer = ModelSettings(
        language_model=language_model,
        visual_tokens=recipe.visual_tokens,
        visual_mode=VisualMode.repeated,
        dtype=dtype,
        attention=attention,
    ).build(DIMENSION)
    return prepared(stage, recipe, model, RANK), tokenizer


def prepared(stage: Stage, recipe: Recipe, model: UnicornForConditionalGeneration, rank: int) -> nn.Module:
    """The module in which what the recipe says takes gradients; adapters are of that rank."""
    if not recipe.frozen:
        module: nn.Module = model.requires_grad_(True)
    else:
        settings = AlignSettings() if stage is Stage.align else LoraTuneSettings(rank=rank, dropout=0.0)
        module = settings.build().prepare(model)
    prepare_layers(module, checkpointing=recipe.checkpointing, compiling=recipe.compiling)
    return module.train()


def make_samples(stage: Stage, count: int, tokenizer: PreTrainedTokenizerFast, visual_tokens: int) -> list[Sample]:
    """Captions of 137 words or so, log-normal; for tune conversations of six to eight pairs about such."""
    conversation = ConversationTokenizer(tokenizer, visual_tokens)
    words = vocabulary(tokenizer)
    captions = [
        " ".join(words[int(word[1:]) % len(words)] for word in caption.text.split())
        for caption in generate_captions(count)
    ]
    if stage is Stage.align:
        return [sample for sample in conversation.captions(captions) if isinstance(sample, Sample)]
    random = np.random.default_rng(0)

    def said(role: Role, low: int, high: int) -> Message:
        return Message(role=role, content=" ".join(random.choice(words, random.integers(low, high + 1))))

    pairs = random.integers(6, 9, count)
    made = conversation.conversations(
        [
            [turn for _ in range(number) for turn in (said(Role.USER, 6, 16), said(Role.ASSISTANT, 10, 40))]
            for number in pairs
        ]
    )
    return [sample for sample in made if isinstance(sample, Sample)]


def vocabulary(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Words that are one token of the tokeniser, and some that are two."""
    pieces = sorted(token for token in tokenizer.get_vocab() if token[1:].isascii() and token[1:].isalpha())
    whole = [token[1:] for token in pieces if token[0] == "Ġ" and len(token) > 4 and token[1:].islower()]
    return [f"{word}." if number % WORDS_OF_TWO_TOKENS == 0 else word for number, word in enumerate(whole)]


def collate(samples: Sequence[Sample], *, packed: bool, row_length: int, rows_at_a_time: int) -> list[Batch]:
    """The batches of a step, either way: packed rows are padded to the longest of a batch, others to that of the step.

    The images are drawn by the samples' order, so both ways have the same.
    """
    lengths = [len(sample.input_ids) for sample in samples]
    whole = fill_rows(lengths, max(row_length, *lengths)) if packed else [[number] for number in range(len(samples))]
    images = torch.randn(len(samples), DIMENSION, generator=torch.Generator().manual_seed(0))
    images = functional.normalize(images, dim=-1)
    batches: list[Batch] = []
    for start in range(0, len(whole), rows_at_a_time):
        rows = whole[start : start + rows_at_a_time]
        length = max(sum(lengths[number] for number in row) for row in (rows if packed else whole))
        shape = (len(rows), length)
        input_ids, position_ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        labels, mask = np.full(shape, IGNORED, np.int64), np.zeros(shape, np.int64)
        for number, row in enumerate(rows):
            end = 0
            for each in row:
                sample = samples[each]
                start, end = end, end + lengths[each]
                input_ids[number, start:end] = sample.input_ids
                position_ids[number, start:end] = np.arange(lengths[each])
                labels[number, start:end] = np.where(sample.supervised, sample.input_ids, IGNORED)
                mask[number, start:end] = 1
            position_ids[number, end:] = np.arange(length - end)
        batches.append(
            Batch(
                input_ids=torch.from_numpy(input_ids),
                labels=torch.from_numpy(labels),
                image_embeds=images[[each for row in rows for each in row]],
                attention_mask=None if packed else torch.from_numpy(mask),
                position_ids=torch.from_numpy(position_ids) if packed else None,
            )
        )
    return batches


def backward(module: nn.Module, batch: Batch, recipe: Recipe, step: Sequence[Batch]) -> float:
    """The gradients of a batch's part in its step's loss; returns that part."""
    share = int((batch.labels != IGNORED).sum()) / sum(int((each.labels != IGNORED).sum()) for each in step)
    loss = loss_of(module, batch, recipe) * share
    loss.backward()
    return loss.item()


def loss_of(module: nn.Module, batch: Batch, recipe: Recipe) -> Float[Tensor, ""]:
    """The mean cross-entropy of the batch's supervised tokens."""
    given = {
        "input_ids": batch.input_ids,
        "image_embeds": batch.image_embeds,
        "attention_mask": batch.attention_mask,
        "position_ids": batch.position_ids,
        "use_cache": False,
    }
    if recipe.chunked:
        return module(**given, labels=batch.labels).loss
    logits = cast("Tensor", module(**given).logits).float()
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED)
