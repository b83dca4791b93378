"""Small Llamas by their shape alone, the plan of their stages, and one real step of them to compare it with."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import LlamaConfig

from unicorn.data.settings import DataSettings
from unicorn.model.loss import chunk_positions
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.model.settings import ModelSettings
from unicorn.training.align import AlignSettings
from unicorn.training.layers import prepare_layers
from unicorn.training.plan.plan import StagePlanner
from unicorn.training.plan.settings import StatedWork
from unicorn.training.trainer import Precision, TrainerSettings
from unicorn.training.tune import FullTuneSettings, LoraTuneSettings

DIMENSION = 48
SHAPES: dict[str, dict[str, Any]] = {
    "grouped": {"hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 3, "num_attention_heads": 8},
    "wide": {"hidden_size": 192, "intermediate_size": 320, "num_hidden_layers": 4, "num_attention_heads": 4},
    "tied": {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 5, "tie_word_embeddings": True},
    "smollm2": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 2,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
}
LLAMA = "package:unicorn.model/shapes/llama3_8b"
STAGES = {
    "align": AlignSettings(batch=8),
    "lora": LoraTuneSettings(batch=8, rank=8, alpha=16, dropout=0.0),
    "full": FullTuneSettings(batch=8),
}


def shape_folder(folder: Path, name: str) -> str:
    """A folder that holds a configuration and nothing else."""
    given = {"vocab_size": 1000, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    LlamaConfig(**given | SHAPES[name]).save_pretrained(folder / name)
    return str(folder / name)


def planner(
    language_model: str,
    stage: str,
    *,
    model: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    stated: StatedWork | None = None,
    data: DataSettings | None = None,
    dimension: int = DIMENSION,
    settings: Any = None,
) -> StagePlanner:
    """The planner of a stage: by default of 100 samples of 60 tokens, four in a row, two rows in a pack."""
    return StagePlanner(
        stage=(settings or STAGES[stage]).build(),
        model=ModelSettings(language_model=language_model, **model or {}),
        dimension=dimension,
        data=data or DataSettings(row_length=240, rows_per_pack=2),
        trainer=TrainerSettings(**trainer or {}),
        stated=stated or StatedWork(samples=100, tokens=60, supervised=40, mfu=0.5),
        dataset=Path("nowhere"),
    )


def real_module(planned: StagePlanner) -> nn.Module:
    """What the stage trains, with random weights on the CPU, and gradients of an earlier pack."""
    torch.manual_seed(0)
    module = planned.stage.prepare(planned.model.skeleton(planned.dimension)).train()
    if planned.trainer.precision is Precision.bf16:
        module.to(torch.bfloat16)
    head = cast("nn.Linear", base_of(module).get_output_embeddings())
    base_of(module).logits_at_a_time = chunk_positions(head.out_features, "cuda")  # for which it is planned
    prepare_layers(module, checkpointing=planned.trainer.gradient_checkpointing, compiling=False)
    for weight in module.parameters():
        weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
    return module


def base_of(module: nn.Module) -> UnicornForConditionalGeneration:
    """The model within what PEFT may have put around it."""
    return next(each for each in module.modules() if isinstance(each, UnicornForConditionalGeneration))


def real_step(module: nn.Module, planned: StagePlanner) -> None:
    """One pack as `planner` states them, two rows of four samples: forward and backward."""
    tokens, supervised, visual = 60, 40, planned.model.visual_tokens
    length = tokens + visual - 1
    image = base_of(module).config.image_token_id
    ids = torch.full((8, length), 5)
    ids[:, :visual] = image
    labels = torch.full((8, length), -100)
    labels[:, -supervised:] = 7
    mixed = planned.trainer.precision is Precision.bf16_mixed
    with torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext():
        loss = module(
            input_ids=ids.view(2, -1),
            labels=labels.view(2, -1),
            position_ids=torch.arange(length).repeat(2, 4),
            image_embeds=torch.randn(8, planned.dimension),
            num_items_in_batch=320,
            use_cache=False,
        ).loss
    loss.backward()
