"""Planned FLOPs are those that PyTorch counts in a real step, and those that the shape of Llama-3-8B says."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from tests.training.planned import LLAMA, base_of, planner, real_module, real_step, shape_folder
from unicorn.data.settings import DataSettings
from unicorn.model.settings import Attention
from unicorn.training.plan.card import CARDS, Gpu
from unicorn.training.plan.flops import FlopCounter, Flops
from unicorn.training.plan.plan import StagePlanner
from unicorn.training.plan.settings import StatedWork
from unicorn.training.trainer import Strategy
from unicorn.training.tune import LoraTuneSettings

aten = torch.ops.aten
H100 = CARDS[Gpu.h100]


def forward_on_cpu(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def backward_on_cpu(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


ON_CPU = {  # PyTorch counts these kernels on GPUs alone
    aten._scaled_dot_product_flash_attention_for_cpu: forward_on_cpu,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: backward_on_cpu,
}


def parts(planned: StagePlanner) -> dict[str, Flops]:
    return planned.time(planned.asked(1), H100).parts


def executed(planned: StagePlanner) -> float:
    return sum(parts(planned).values(), Flops()).hardware


def counted(planned: StagePlanner) -> float:
    """FLOPs of a real step, as PyTorch counts them."""
    module = real_module(planned)
    with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        real_step(module, planned)
    return counter.get_total_flops()


@pytest.mark.parametrize("stage", ["align", "lora", "full"])
@pytest.mark.parametrize(
    ("name", "checkpointing"),
    [("grouped", False), ("grouped", True), ("wide", True), ("tied", False), ("smollm2", True)],
)
def test_flops_of_a_step_are_those_that_pytorch_counts(
    name: str, stage: str, checkpointing: bool, tmp_path: Path
) -> None:
    planned = planner(shape_folder(tmp_path, name), stage, trainer={"gradient_checkpointing": checkpointing})
    assert executed(planned) == pytest.approx(counted(planned), rel=0.02)


@pytest.mark.parametrize("stage", ["align", "full"])
def test_flops_of_attention_without_a_fused_kernel(stage: str, tmp_path: Path) -> None:
    planned = planner(
        shape_folder(tmp_path, "grouped"), stage, model={"attention": Attention.eager, "visual_tokens": 3}
    )
    planned.data = DataSettings(row_length=248, rows_per_pack=2)
    assert executed(planned) == pytest.approx(counted(planned), rel=0.02)


def test_flops_of_llama_by_its_published_shape() -> None:
    layers = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    stated = StatedWork(samples=100, tokens=180, supervised=178, mfu=0.5)
    planned = {
        stage: planner(LLAMA, stage, stated=stated, dimension=1280, data=DataSettings(row_length=2048))
        for stage in ("align", "full")
    }
    by_stage = {stage: parts(each) for stage, each in planned.items()}
    tokens = 8 * 180
    assert by_stage["align"]["layers"].model == 4 * layers * tokens  # frozen
    assert by_stage["full"]["layers"].model == 6 * layers * tokens
    assert by_stage["align"]["head"].model == 4 * 128256 * 4096 * 8 * 178  # over supervised tokens alone
    row = 8 * 180  # one row, of which each token meets all others
    assert by_stage["full"]["attention"].model == 12 * 32 * 4096 * row**2
    useful = planned["align"].time(planned["align"].asked(1), H100).useful
    assert by_stage["align"]["attention"].model > 7 * 12 * 32 * 4096 * 8 * 180**2  # of other samples, masked
    assert useful.model < sum(by_stage["align"].values(), Flops()).model


def test_adapters_cost_what_their_rank_says(tmp_path: Path) -> None:
    folder = shape_folder(tmp_path, "wide")
    planned = {rank: planner(folder, "lora", settings=LoraTuneSettings(rank=rank)) for rank in (8, 16)}
    by_rank = {rank: parts(each)["layers"].to_weights for rank, each in planned.items()}
    assert by_rank[16] == 2 * by_rank[8] > 0


def test_rows_that_flash_attention_reads_are_not_multiplied_whole(tmp_path: Path) -> None:
    folder = shape_folder(tmp_path, "wide")
    whole = planner(folder, "align")
    apart = planner(folder, "align", model={"attention": Attention.flash_attention_2})
    pairs = [parts(each)["attention"].forward for each in (whole, apart)]
    assert pairs[0] == pytest.approx(4 * pairs[1])  # four samples in a row


def test_hours_are_flops_over_what_the_cards_do(tmp_path: Path) -> None:
    planned = planner(shape_folder(tmp_path, "grouped"), "full")
    card = CARDS[Gpu.a100]
    time = planned.time(replace(planned.asked(4), strategy=Strategy.zero2), card)
    flops = 13 * sum(time.parts.values(), Flops()).hardware  # 100 samples in steps of 8
    assert time.seconds == pytest.approx(flops / (4 * 312e12 * 0.5))
    assert 0 < time.mfu < 0.5


def test_the_model_on_the_meta_device_has_the_weights_of_the_real_one(tmp_path: Path) -> None:
    with torch.device("meta"):
        planned = planner(shape_folder(tmp_path, "tied"), "lora")
        meta = planned.stage.prepare(planned.model.skeleton(planned.dimension))
    real = real_module(planned)
    assert {weight.device.type for weight in meta.parameters()} == {"meta"}
    assert [(name, each.shape, each.requires_grad) for name, each in meta.named_parameters()] == [
        (name, each.shape, each.requires_grad) for name, each in real.named_parameters()
    ]
    assert base_of(meta).config.image_token_id == 1000


def test_weights_in_four_bits_count_for_what_they_stand_for(tmp_path: Path) -> None:
    training = planner(shape_folder(tmp_path, "grouped"), "lora")
    module = real_module(training)
    whole = FlopCounter.of(module)
    for name, weight in list(module.named_parameters()):
        if not weight.requires_grad and ".layers." in name and weight.ndim == 2:  # as bitsandbytes keeps them
            packed = torch.nn.Parameter(torch.zeros(weight.numel() // 2, 1, dtype=torch.uint8), requires_grad=False)
            packed.quant_state = SimpleNamespace(shape=weight.shape)  # type: ignore[attr-defined]
            owner, _, last = name.rpartition(".")
            setattr(module.get_submodule(owner), last, packed)
    assert FlopCounter.of(module) == whole
