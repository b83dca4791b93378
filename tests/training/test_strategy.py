"""Strategies that do not go with what is trained, or with what is installed, are refused in a line."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from tests.training.tiny import ALIGN, LOOKS, Training
from unicorn.errors import UserError
from unicorn.training import trainer as trainer_settings
from unicorn.training.fsdp import FullySharded
from unicorn.training.trainer import Strategy, TrainerSettings
from unicorn.training.zero import Zero


def test_devices_without_a_strategy_or_without_work_are_refused(training: Training) -> None:
    with pytest.raises(
        UserError, match=r"2 devices share the work by a strategy\. Set trainer\.strategy to ddp, zero2"
    ):
        training.run("two", ALIGN, trainer=TrainerSettings(accelerator="cpu", devices=2))
    many = TrainerSettings(accelerator="cpu", devices=8, nodes=4, strategy=Strategy.ddp)
    with pytest.raises(
        UserError, match=r"align\.batch=16 conversations leave some of 32 devices without work\. Set it"
    ):
        training.run("many", ALIGN, trainer=many)


def test_offloading_is_deepspeeds() -> None:
    with pytest.raises(UserError, match=r"trainer\.offload=true is DeepSpeed's, and trainer\.strategy is ddp\. Set it"):
        TrainerSettings(strategy=Strategy.ddp, offload=True)


@pytest.mark.parametrize("stage", [2, 3])
def test_offloading_is_asked_for_as_deepspeed_documents_it(
    stage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig  # which refuses a key that it does not know

    def config(offload: bool) -> dict[str, Any]:
        chosen = TrainerSettings(accelerator="cpu", devices=2, strategy=Strategy(f"zero{stage}"), offload=offload)
        return cast("Any", chosen.build(ALIGN.build(), tmp_path, [], LOOKS).strategy).config

    asked = config(True)
    assert asked["zero_force_ds_cpu_optimizer"] is False  # else it refuses PyTorch's AdamW
    zero = DeepSpeedZeroConfig(**asked["zero_optimization"])
    assert zero.stage == stage
    assert zero.offload_optimizer.device == "cpu"
    assert zero.offload_param is None
    assert DeepSpeedZeroConfig(**config(False)["zero_optimization"]).offload_optimizer is None
    for gpu in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        zero = Zero(stage, offload=True, longest_gradient=1.0).config["zero_optimization"]
        assert zero["offload_optimizer"] == {"device": "cpu", "pin_memory": gpu}


def test_a_missing_deepspeed_says_which_extra(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_settings, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"strategy=zero2 needs DeepSpeed: pip install 'unicorn-vlm\[deepspeed\]'"):
        training.run("absent", ALIGN, trainer=TrainerSettings(accelerator="cpu", strategy=Strategy.zero2))


def test_fsdp2_shards_weights_of_one_type() -> None:
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, dtype=torch.bfloat16))
    with pytest.raises(
        UserError, match=r"fsdp2 shards weights of one type, and these have 2\. Set model\.dtype=float32"
    ):
        FullySharded(2, torch.float32).shard(mixed)
