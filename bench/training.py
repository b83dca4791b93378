"""Training beside the published recipe, and lever by lever: samples/s and memory of align and of tune."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bench.encoding_ways import generate_captions
from bench.figures import circumstances
from bench.page import duration, machine_line, size_text, times
from bench.process import fresh
from bench.recipes import PACKED_ROWS, RANK, ROW_LENGTH, Stage
from bench.training_steps import COMPILED, PACKAGE, Measurement, lines, measure, optimizer_seconds, save_language_model
from unicorn.files import replacing
from unicorn.report.table import markdown_table, numbers_table, show
from unicorn.training.align import AlignSettings
from unicorn.training.tune import LoraTuneSettings

PARAMETERS = 134_515_008
"""Of SmolLM2-135M."""
EXPECTED = {Stage.align: 5.0, Stage.tune: 4.0}
SAME = {"loss": 1e-4, "gradient": 1e-3}
"""Largest relative difference of what a lever says it leaves as it is."""

PAGE = """\
# Training, measured

`python -m bench.training` (`make bench` runs it too) writes this page and
[training.json](../bench/results/training.json): one step of align and one of tune, by Unicorn's recipe, by the
published one, and lever by lever between them.

{machine}

{expected}
{tables}
## How it was measured
- The model: SmolLM2-135M-Instruct with a projector from 1,280 dimensions, in float32. Captions: {samples} of {words}
  words on average, log-normal, {align_tokens} tokens with the image's one; conversations of 6 to 8 pairs,
  {tune_tokens} tokens. Words are drawn at random from the tokeniser's; speed does not depend on which.
- The published recipe (`bench/recipes.py`) was written by us from its description: 576 copies of one projected
  vector, one sample to a row, rows padded to the longest of the {samples}, logits in float32 at every position, and
  gradients for every weight. Unicorn: one visual token, rows packed to {row_length} tokens or the longest sample,
  those of like length in one pass, cross-entropy in chunks over supervised positions, and gradients for what learns
  alone: the projector, and in tune adapters of rank {rank}, {share:.0%} as many weights as the model has, as rank 128
  is of Llama 3 8B. A forward pass takes {rows} padded rows, or {packed_rows} packed ones.
- A step is forward and backward of all samples; the optimiser's own step, one for {batches} samples, is
  left out and told below. Every line is a process of its own, of one thread, {processes} at a time. Seconds are CPU
  seconds of that process, the median of up to {rounds} steps, so that whatever else the machine does counts little.
- Memory is the highest resident memory of a step over what the process held before it: activations, logits, gradients.
- Tune gains less than align: a conversation has about as many tokens of its own as there are copies to leave out.
- Equal on equal samples, between recipes with as many visual tokens:
  {equal}.
- AdamW's step of Unicorn's tune ({adapted:.0f}M weights): {plain}, with `trainer.fused_optimizer` {fused}.

## What is not measured here
bfloat16, Liger's kernels and 4-bit weights are made for GPUs; `python -m bench.gpu` measures on one. There
`trainer.precision=bf16_mixed` with `model.dtype=bfloat16` is the choice for align and LoRA: frozen weights in bfloat16;
projector and adapters, and what AdamW keeps of them, in float32. `trainer.precision=bf16` makes all weights bfloat16,
in which most steps of 1e-5 are rounded away unless DeepSpeed (`zero2`, `zero3`) keeps float32 copies, as the paper's
runs do.
"""


@dataclass(kw_only=True)
class TrainingBenchSettings:
    """What is measured, and where it goes."""

    samples: int = 8
    rows_at_a_time: int = 4
    """In a forward pass; the published recipe takes 3 GB a row."""
    rounds: int = 3
    processes: int = 1
    """At a time."""
    compiled: bool = True
    """Whether Unicorn's recipe is measured with compiled layers too, which take a minute to compile."""
    results: Path = Path("bench/results/training.json")
    page: Path = Path("docs/training_speed.md")


def differences(measured: Sequence[Measurement]) -> dict[str, float]:
    """How far loss and gradient of recipes with the same visual tokens are apart, relatively, at most."""
    worst = {"loss": 0.0, "gradient": 0.0}
    for tokens in {each.visual_tokens for each in measured}:
        same = [each for each in measured if each.visual_tokens == tokens]
        for key in worst:
            numbers = [getattr(each, key) for each in same]
            worst[key] = max(worst[key], (max(numbers) - min(numbers)) / abs(min(numbers)))
    return worst


def rows(measured: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """A stage's table."""
    published = next(each for each in measured if each.name == "published")
    return [
        (
            each.name,
            f"{each.computed:,.0f}",
            f"{each.samples_per_second:.3g}",
            times(each.samples_per_second / published.samples_per_second),
            size_text(each.peak),
            f"{each.loss:.4f}",
        )
        for each in measured
    ]


def speedups(measured: Sequence[Measurement]) -> dict[str, float]:
    """Samples/s over those of the published recipe: of Unicorn's, and of the same with compiled layers."""
    rates = {each.name: each.samples_per_second for each in measured}
    return {name: rates[name] / rates["published"] for name in ("Unicorn", COMPILED) if name in rates}


def in_fresh_processes(settings: TrainingBenchSettings, language_model: str) -> dict[Stage, list[Measurement]]:
    """Every line in a process that does nothing else."""
    todo = [line for stage in Stage for line in lines(stage, settings.compiled)]
    task = partial(
        measure,
        language_model=language_model,
        samples=settings.samples,
        rows_at_a_time=settings.rows_at_a_time,
        rounds=settings.rounds,
    )
    with ProcessPoolExecutor(settings.processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        measured: list[Measurement] = []
        for each in pool.map(task, todo):
            measured.append(each)
            print(f"{len(measured)} of {len(todo)}: {each.stage}, {each.name}: {each.samples_per_second:.3g} samples/s")
    return {stage: [each for each in measured if each.stage is stage] for stage in Stage}


def bench(settings: TrainingBenchSettings) -> dict[Stage, list[Measurement]]:
    """Measure all; write results and page, and show them. Raises RuntimeError where recipes disagree."""
    at: dict[str, Any] = circumstances(
        "python -m " + " ".join(["bench.training", *sys.argv[1:]]), ("transformers", "peft", PACKAGE)
    )
    with TemporaryDirectory() as folder:
        save_language_model(Path(folder))
        measured = in_fresh_processes(settings, folder)
        (plain, adapted), (fused, _) = (fresh(optimizer_seconds, folder, fused=way) for way in (False, True))
    for stage, ways in measured.items():
        for key, difference in differences(ways).items():
            if difference > SAME[key]:
                raise RuntimeError(
                    f"the {key} of {stage} differs by {difference:.1e} between recipes that claim not to"
                )
    tables = {stage: rows(ways) for stage, ways in measured.items()}
    columns = ("recipe", "positions a sample", "samples/s", "times published", "memory of a step", "loss")
    ratios = {stage: speedups(ways) for stage, ways in measured.items()}
    met = [
        (f"{stage}, {name}", times(EXPECTED[stage]), times(ratio), "yes" if ratio >= EXPECTED[stage] else "no")
        for stage, by_name in ratios.items()
        for name, ratio in by_name.items()
    ]
    expected = ("samples/s, times published", "expected", "measured", "met")
    show(*(numbers_table(stage, columns, table) for stage, table in tables.items()))
    show(numbers_table("Expected", expected, met))
    worst = {stage: differences(ways) for stage, ways in measured.items()}
    content = {
        **at,
        "ratios": ratios,
        "differences": worst,
        "optimizer_seconds": {"plain": plain, "fused": fused},
        **{stage: list(map(asdict, ways)) for stage, ways in measured.items()},
    }
    with replacing(settings.results) as temporary:
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        temporary.write_bytes(orjson.dumps(content, option=options) + b"\n")
    ours = {stage: next(way for way in ways if way.name == "Unicorn") for stage, ways in measured.items()}
    page = PAGE.format(
        machine=machine_line(at),
        expected=f"## What was expected\n{markdown_table(expected, met)}",
        tables="\n".join(f"## {stage}\n{markdown_table(columns, table)}" for stage, table in tables.items()),
        samples=settings.samples,
        words=round(sum(len(each.text.split()) for each in generate_captions(settings.samples)) / settings.samples),
        align_tokens=round(ours[Stage.align].tokens),
        tune_tokens=round(ours[Stage.tune].tokens),
        row_length=ROW_LENGTH,
        rank=RANK,
        rows=settings.rows_at_a_time,
        packed_rows=PACKED_ROWS,
        batches=f"{AlignSettings().batch} (align) or {LoraTuneSettings().batch} (tune)",
        processes=settings.processes,
        rounds=settings.rounds,
        equal="; ".join(
            f"{stage}, losses {apart['loss']:.0e} and norms of the projector's gradient {apart['gradient']:.0e} apart"
            for stage, apart in worst.items()
        ),
        adapted=adapted / 1e6,
        share=adapted / PARAMETERS,
        plain=duration(plain),
        fused=duration(fused),
    )
    with replacing(settings.page) as temporary:
        temporary.write_text(page)
    return measured


def main() -> None:
    """`python -m bench.training`."""
    defaults = TrainingBenchSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    for name in ("samples", "rows_at_a_time", "rounds", "processes"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=defaults.compiled)
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    parser.add_argument("--page", type=Path, default=defaults.page, help="the tables")
    bench(TrainingBenchSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
