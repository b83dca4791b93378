"""Planned bytes are those of a real step on the CPU: weights, gradients and AdamW exactly, the rest at its peak."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.training.planned import LLAMA, planner, real_module, real_step, shape_folder
from unicorn.data.settings import DataSettings
from unicorn.model.settings import Attention, Dtype
from unicorn.training.plan.activations import Ledger
from unicorn.training.plan.memory import Case, Memory
from unicorn.training.plan.plan import StagePlanner
from unicorn.training.plan.remedy import as_typed, remedy
from unicorn.training.plan.settings import StatedWork
from unicorn.training.stage import trainable
from unicorn.training.trainer import Precision, Strategy
from unicorn.training.tune import LoraTuneSettings

BFLOAT16 = {"model": {"dtype": Dtype.bfloat16}}
MIXED = {"precision": Precision.bf16_mixed}


def peak(step: Callable[[], None]) -> int:
    """What PyTorch's allocator held more than before, at most."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = profiler.profiler.kineto_results.events()  # type: ignore[union-attr]
    live = highest = 0
    for event in sorted((each for each in events if each.name() == "[memory]"), key=lambda each: each.start_ns()):
        live += event.nbytes()
        highest = max(highest, live)
    return highest


def passing(memory: Memory) -> float:
    return memory.activations + memory.logits + memory.transient


@pytest.mark.parametrize(
    ("name", "stage", "settings", "within"),
    [
        ("grouped", "align", {}, 0.01),
        ("wide", "align", {"trainer": {"gradient_checkpointing": True} | MIXED, **BFLOAT16}, 0.1),
        ("tied", "lora", {"trainer": MIXED}, 0.01),
        ("wide", "lora", {"trainer": {"gradient_checkpointing": True}, **BFLOAT16}, 0.1),  # a kernel's own buffers
        ("wide", "full", {"trainer": {"gradient_checkpointing": True, "fused_optimizer": True}}, 0.01),
        ("grouped", "full", {"model": {"attention": Attention.eager}, "trainer": {"precision": Precision.bf16}}, 0.1),
        pytest.param("smollm2", "full", {"trainer": MIXED}, 0.01, marks=pytest.mark.slow),
    ],
)
def test_activations_are_what_a_real_step_holds(
    name: str, stage: str, settings: dict[str, Any], within: float, tmp_path: Path
) -> None:
    planned = planner(shape_folder(tmp_path, name), stage, **settings)
    module = real_module(planned)
    held = peak(lambda: real_step(module, planned))
    assert passing(planned.memory(planned.asked(1))) == pytest.approx(held, rel=within)


def test_masks_of_dropout_are_bytes_as_on_a_gpu(tmp_path: Path) -> None:
    dropped = planner(shape_folder(tmp_path, "wide"), "lora", settings=LoraTuneSettings(rank=8, dropout=0.5))
    module = real_module(dropped)
    hidden, wide, tokens = 192, 320, 8 * 60
    masks = 4 * (6 * hidden + wide) * tokens  # of four layers, one for the input of each of seven matrices
    measured = peak(lambda: real_step(module, dropped)) - masks * 3  # where the CPU keeps them in float32
    assert passing(dropped.memory(dropped.asked(1))) == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("stage", ["align", "lora", "full"])
@pytest.mark.parametrize("dtype", [Dtype.float32, Dtype.bfloat16])
def test_weights_gradients_and_optimizer_are_what_training_holds(stage: str, dtype: Dtype, tmp_path: Path) -> None:
    planned = planner(shape_folder(tmp_path, "tied"), stage, model={"dtype": dtype})
    module = real_module(planned)
    weights = trainable(module).values()
    optimizer = torch.optim.AdamW(weights)
    optimizer.step()
    memory = planned.memory(planned.asked(1))
    assert memory.weights == sum(weight.nbytes for weight in module.parameters())
    assert memory.gradients == sum(weight.grad.nbytes for weight in weights if weight.grad is not None)
    moments = [each for state in optimizer.state.values() for each in state.values() if each.ndim]
    assert memory.optimizer == sum(moment.nbytes for moment in moments)


@pytest.fixture(scope="module")
def llama() -> Callable[[str], StagePlanner]:
    """Planners of Llama-3-8B by its published shape, with packs of 64 tokens, which take little."""
    made: dict[str, StagePlanner] = {}

    def of(stage: str) -> StagePlanner:
        if stage not in made:
            made[stage] = planner(
                LLAMA,
                stage,
                model={"dtype": Dtype.bfloat16},
                trainer={"precision": Precision.bf16},
                data=DataSettings(row_length=64, rows_per_pack=1),
                dimension=1280,
            )
        return made[stage]

    return of


LANGUAGE_MODEL = 8_030_261_248
PROJECTOR = 1280 * 4096 + 4096 + 4096 * 4096 + 4096
PARAMETERS = LANGUAGE_MODEL + PROJECTOR


def test_sharding_by_the_arithmetic_of_zero(llama: Callable[[str], StagePlanner]) -> None:
    full = llama("full")
    by_strategy = {way: full.memory(replace(full.asked(8), strategy=way)) for way in Strategy}
    held = {way: (each.weights, each.gradients, each.optimizer) for way, each in by_strategy.items()}
    n = PARAMETERS
    assert held[Strategy.single] == held[Strategy.ddp] == (2 * n, 2 * n, 4 * n)  # moments in the weights' type
    assert held[Strategy.zero2] == (2 * n, 4 * n / 8, 12 * n / 8)  # arXiv 1910.02054, section 3.1
    assert held[Strategy.zero3] == (2 * n / 8, 4 * n / 8, 12 * n / 8)  # but that gradients are summed in float32
    loaded = 2 * LANGUAGE_MODEL + 4 * PROJECTOR  # as they were loaded, gathered in bfloat16
    assert held[Strategy.fsdp2] == (loaded / 8, loaded / 8, 2 * loaded / 8)
    assert by_strategy[Strategy.ddp].transient >= 2 * n  # its buckets
    assert by_strategy[Strategy.zero2].transient >= 2e9  # two buckets of half a billion gradients
    assert by_strategy[Strategy.zero3].transient > 2e9  # a billion weights that stay gathered
    offloaded = full.memory(replace(full.asked(8), strategy=Strategy.zero2, offload=True))
    assert (offloaded.gradients, offloaded.optimizer, offloaded.cpu) == (0, 0, 16 * n / 8)


def test_four_bits_hold_the_linear_layers_alone(llama: Callable[[str], StagePlanner]) -> None:
    align = llama("align")
    quantized = align.memory(replace(align.asked(1), load_in_4bit=True))
    linear = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    assert quantized.weights == pytest.approx(0.5159 * linear + 2 * (PARAMETERS - linear), rel=1e-4)
    assert quantized.transient >= 2 * 4096 * 14336  # a matrix to multiply with


def memory_of(case: Case) -> Memory:
    """A made-up training of 40, of which checkpointing saves 8, one row 2, sharding and offload what they share."""
    weights = 16.0 * (0.3 if case.load_in_4bit else 1) / (case.gpus if case.strategy is Strategy.zero3 else 1)
    optimizer = 12.0 / (case.gpus if case.strategy in (Strategy.zero2, Strategy.zero3) else 1)
    activations = 12.0 - (8 if case.gradient_checkpointing else 0) - (2 if case.rows_per_pack == 1 else 0)
    return Memory(
        weights=weights,
        gradients=0,
        optimizer=0 if case.offload else optimizer,
        activations=activations,
        logits=0,
        transient=0,
        cpu=0,
    )


@pytest.mark.parametrize(
    ("gpus", "capacity", "quantizable", "typed"),
    [
        (1, 40, True, ""),
        (1, 39, True, "data.rows_per_pack=1"),
        (1, 33, True, "trainer.gradient_checkpointing=true"),
        (1, 31, True, "data.rows_per_pack=1 trainer.gradient_checkpointing=true"),
        (1, 29, True, "model.load_in_4bit=true"),
        (1, 27, True, "data.rows_per_pack=1 model.load_in_4bit=true"),
        (1, 29, False, "trainer.strategy=zero2 trainer.offload=true"),
        (8, 29.6, True, "trainer.strategy=zero2"),
        (8, 16, False, "trainer.strategy=zero3"),
        (
            1,
            9,
            False,
            "planning.gpus=4 data.rows_per_pack=1 trainer.gradient_checkpointing=true trainer.strategy=zero3",
        ),
        (1, 1, True, None),
    ],
)
def test_what_makes_it_fit_changes_least(
    gpus: int, capacity: float, quantizable: bool, typed: str | None, tmp_path: Path
) -> None:
    case = replace(planner(shape_folder(tmp_path, "tied"), "align").asked(gpus), rows_per_pack=4)
    change = remedy(case, memory_of, capacity, quantizable=quantizable)
    assert (None if change is None else as_typed(change)) == typed


def test_a_planned_remedy_fits(llama: Callable[[str], StagePlanner]) -> None:
    lora = llama("lora")
    asked = lora.asked(1)
    change = remedy(asked, lora.memory, 12e9, quantizable=True)
    assert lora.memory(asked).total > 12e9
    assert change == {"load_in_4bit": True}
    assert lora.memory(replace(asked, **change)).total <= 12e9


def test_a_longer_pack_takes_more(tmp_path: Path) -> None:
    folder = shape_folder(tmp_path, "tied")
    stated = StatedWork(samples=1000, tokens=60, supervised=40, mfu=0.5)
    rows = [planner(folder, "align", stated=stated, data=DataSettings(row_length=240, rows_per_pack=n)) for n in (1, 2)]
    one, two = (each.memory(each.asked(1)) for each in rows)
    assert two.activations == pytest.approx(2 * one.activations, rel=0.02)
    assert two.logits == pytest.approx(2 * one.logits, rel=0.05)


def test_the_ledger_forgets_what_is_gone() -> None:
    with Ledger() as ledger:
        first = torch.ones(1000)
        second = first.view(10, 100) + 1
        del first
        third = second.to(torch.bfloat16)
    assert (ledger.live, ledger.peak) == (second.nbytes + third.nbytes, 8000)
