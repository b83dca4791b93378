"""Strategies that do not go with what is trained, or with what is installed, are refused in a line."""

import pytest
import torch
from torch import nn

from tests.training.tiny import ALIGN, Training
from unicorn.errors import UserError
from unicorn.training import trainer as trainer_settings
from unicorn.training.fsdp import FullySharded
from unicorn.training.trainer import Strategy, TrainerSettings


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
