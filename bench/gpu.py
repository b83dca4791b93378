"""Llama 3 8B's shape on one GPU: tokens/s, MFU and memory of align and LoRA tune, beside the published recipe."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, cast

import numpy as np
import orjson
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig

from bench.figures import circumstances
from bench.page import size_text, times
from bench.recipes import DIMENSION, PUBLISHED, UNICORN, Batch, Recipe, Stage, collate, loss_of, prepared
from unicorn.data.conversation import Sample
from unicorn.files import locate, replacing
from unicorn.model.configuration import UnicornConfig
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.model.settings import Attention, VisualMode
from unicorn.report.table import numbers_table, show
from unicorn.training.plan.card import find_card
from unicorn.training.plan.flops import FlopCounter
from unicorn.training.tune import LoraTuneSettings

LENGTHS = {Stage.align: (180, 180), Stage.tune: (450, 270)}
"""Mean tokens of a sample, and how many of them are supervised."""
GOAL_MFU, GOAL_TIMES = 0.55, 5.0
WARM_UP, STEPS = 2, 5


class Shape(StrEnum):
    """Of the language model, whose weights are random."""

    llama3_8b = "llama3_8b"
    tiny = "tiny"


TINY = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


@dataclass(kw_only=True)
class GpuSettings:
    """What is measured, where, and where the results go."""

    device: str = "cuda"
    shape: Shape = Shape.llama3_8b
    attention: Attention | None = None
    """None: flash_attention_2 where flash-attn is installed, else flex_attention; sdpa on a CPU."""
    samples: int = 40
    """Of a step of Unicorn's; halved until it fits."""
    published_samples: int = 8
    """Of a step of the published recipe; halved likewise."""
    row_length: int = 2048
    results: Path = Path("bench/results/gpu.json")


@dataclass(frozen=True, kw_only=True)
class GpuMeasurement:
    """What one recipe came to."""

    stage: Stage
    recipe: str
    samples: int
    samples_per_second: float
    tokens_per_second: float
    """Of the samples, image tokens included, padding not."""
    mfu: float | None
    """None: the device's peak is not known."""
    peak: int
    """Bytes of the device, highest; on a CPU 0."""


def recipes() -> dict[str, Recipe]:
    """What is measured of each stage. Without checkpointed layers the published recipe does not fit."""
    return {
        "published, layers checkpointed": PUBLISHED.changed("checkpointing", Recipe(checkpointing=True)),
        "Unicorn": UNICORN,
        "Unicorn, layers compiled": UNICORN.changed("compiling", Recipe(compiling=True)),
    }


def language_model_config(shape: Shape) -> LlamaConfig:
    """The shape, as the plan of a training has it."""
    if shape is Shape.tiny:
        return LlamaConfig(**cast("Any", TINY))
    return LlamaConfig.from_pretrained(locate(f"package:unicorn.model/shapes/{shape}"))


def make_model(settings: GpuSettings, attention: Attention, recipe: Recipe) -> UnicornForConditionalGeneration:
    """Random weights in bfloat16 on the device, and a projector in float32."""
    torch.manual_seed(0)
    text = language_model_config(settings.shape)
    with torch.device(settings.device):
        language_model = AutoModelForCausalLM.from_config(
            text, dtype=torch.bfloat16, attn_implementation=attention.value
        )
        config = cast("Any", UnicornConfig)(
            text_config=text,
            embedding_dimension=DIMENSION,
            visual_tokens=recipe.visual_tokens,
            visual_mode=VisualMode.repeated.value,
            image_token_id=text.vocab_size,
            attn_implementation=attention.value,
        )
        return UnicornForConditionalGeneration(config, language_model)


def random_samples(stage: Stage, count: int, recipe: Recipe, vocabulary: int) -> list[Sample]:
    """Log-normal lengths about the stage's mean; the last tokens are supervised."""
    mean, supervised = LENGTHS[stage]
    random = np.random.default_rng(0)
    lengths = np.exp(random.normal(np.log(mean) - 0.08, 0.4, count)).clip(mean // 4, mean * 3).astype(int)
    image = np.full(recipe.visual_tokens, vocabulary, np.int32)
    return [
        Sample(
            input_ids=np.concatenate([image, random.integers(0, vocabulary, length, np.int32)]),
            supervised=np.arange(len(image) + length) >= len(image) + length - length * supervised // mean,
        )
        for length in lengths
    ]


def measure(stage: Stage, name: str, settings: GpuSettings, attention: Attention) -> GpuMeasurement:
    """One recipe; a step that does not fit is halved and tried again."""
    recipe = recipes()[name]
    device = torch.device(settings.device)
    samples = settings.samples if recipe.packed else settings.published_samples
    module = prepared(stage, recipe, make_model(settings, attention, recipe), LoraTuneSettings.rank).to(device)
    vocabulary = language_model_config(settings.shape).vocab_size
    while True:
        made = random_samples(stage, samples, recipe, vocabulary)
        (batch,) = collate(made, packed=recipe.packed, row_length=settings.row_length, rows_at_a_time=samples)
        batch = batch.to(device)
        try:
            seconds, peak = timed(lambda batch=batch: step(module, batch, recipe, device), device)
            break
        except torch.OutOfMemoryError:
            if samples == 1:
                raise
            samples //= 2
            module.zero_grad()
    lengths = [len(sample.input_ids) for sample in made]
    tokens = sum(lengths)
    card = find_card(device_name(device))
    parts = FlopCounter.of(module).step(
        tokens=tokens,
        attended=sum(length**2 for length in lengths),
        images=samples,
        supervised=int((batch.labels >= 0).sum()),
        checkpointing=False,
    )
    needed = sum(part.model for part in parts.values())
    return GpuMeasurement(
        stage=stage,
        recipe=name,
        samples=samples,
        samples_per_second=samples / seconds,
        tokens_per_second=tokens / seconds,
        mfu=needed / seconds / (card.teraflops * 1e12) if card else None,
        peak=peak,
    )


def step(module: nn.Module, batch: Batch, recipe: Recipe, device: torch.device) -> None:
    """Forward and backward as `trainer.precision=bf16_mixed` has them."""
    module.zero_grad()
    with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
        loss = loss_of(module, batch, recipe)
    loss.backward()


def timed(function: Callable[[], None], device: torch.device) -> tuple[float, int]:
    """Median seconds of a call, the device waited for, and the device's highest memory."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    taken: list[float] = []
    for _ in range(WARM_UP + STEPS):
        start = perf_counter()
        function()
        if on_gpu:
            torch.cuda.synchronize(device)
        taken.append(perf_counter() - start)
    return median(taken[WARM_UP:]), torch.cuda.max_memory_allocated(device) if on_gpu else 0


def device_name(device: torch.device) -> str:
    """As its maker calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def goals(measured: list[GpuMeasurement]) -> list[tuple[str, str, str, str]]:
    """The goals on an H100: align's MFU, and how many times the published recipe's samples/s."""
    best = {
        stage: max((each for each in measured if each.stage is stage and "Unicorn" in each.recipe), key=_rate)
        for stage in Stage
    }
    mfu = best[Stage.align].mfu
    lines = [("align, MFU", f"{GOAL_MFU:.0%}", "unknown" if mfu is None else f"{mfu:.0%}", (mfu or 0) >= GOAL_MFU)]
    for stage, ours in best.items():
        theirs = next(each for each in measured if each.stage is stage and "published" in each.recipe)
        ratio = ours.samples_per_second / theirs.samples_per_second
        lines.append((f"{stage}, samples/s of the published", times(GOAL_TIMES), times(ratio), ratio >= GOAL_TIMES))
    return [(name, goal, found, "met" if met else "not met") for name, goal, found, met in lines]


def _rate(measured: GpuMeasurement) -> float:
    return measured.samples_per_second


def bench(settings: GpuSettings) -> list[GpuMeasurement]:
    """Measure all, write the results, and show them beside the goals."""
    device = torch.device(settings.device)
    attention = settings.attention or choose_attention(device)
    at: dict[str, Any] = circumstances("python -m bench.gpu", ("transformers", "peft"))
    measured: list[GpuMeasurement] = []
    for stage in Stage:
        for name in recipes():
            measured.append(measure(stage, name, settings, attention))
            if device.type == "cuda":
                torch.cuda.empty_cache()
    columns = ("recipe", "samples a step", "samples/s", "tokens/s", "MFU", "memory")
    told = f"{settings.shape} on {device_name(device)}, bfloat16, attention {attention}"
    for stage in Stage:
        rows = [
            (
                each.recipe,
                each.samples,
                f"{each.samples_per_second:.3g}",
                f"{each.tokens_per_second:,.0f}",
                "unknown" if each.mfu is None else f"{each.mfu:.1%}",
                size_text(each.peak),
            )
            for each in measured
            if each.stage is stage
        ]
        show(numbers_table(f"{stage}: {told}", columns, rows))
    reached = goals(measured)
    show(numbers_table("Goals on an H100", ("goal", "at least", "measured", ""), reached))
    content = {
        **at,
        "device": device_name(device),
        "shape": settings.shape,
        "attention": attention,
        "goals": reached,
        "measured": list(map(asdict, measured)),
    }
    with replacing(settings.results) as temporary:
        temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return measured


def choose_attention(device: torch.device) -> Attention:
    """The fastest that keeps packed samples apart and is there."""
    if device.type == "cpu":
        return Attention.sdpa
    return Attention.flash_attention_2 if find_spec("flash_attn") else Attention.flex_attention


def main() -> None:
    """`python -m bench.gpu`; without a GPU it says so and ends well."""
    defaults = GpuSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--device", default=defaults.device, help="cuda, or cpu with --shape tiny")
    parser.add_argument("--shape", type=Shape, choices=list(Shape), default=defaults.shape)
    parser.add_argument("--attention", type=Attention, choices=list(Attention), default=defaults.attention)
    for name in ("samples", "published_samples", "row_length"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    settings = GpuSettings(**vars(parser.parse_args()))
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        print("bench.gpu: there is no GPU here, nothing is measured. Try --device cpu --shape tiny for its code alone.")
        return
    bench(settings)


if __name__ == "__main__":
    main()
