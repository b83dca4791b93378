"""Strategies that do not go with what is trained, or with what is installed, are refused in a line."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from tests.training.tiny import ALIGN, LOOKS, Training
from unicorn.errors import UserError
from unicorn.training import strategy as strategy_module
from unicorn.training import trainer as trainer_settings
from unicorn.training.checkpoint_files import AtomicCheckpointIO
from unicorn.training.fsdp import FullySharded
from unicorn.training.strategy import SingleDevice
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


def test_all_devices_of_a_machine_without_a_gpu_are_one(training: Training) -> None:
    every = TrainerSettings(accelerator="cpu", devices=-1)
    assert training.run("every", replace(ALIGN, epochs=1), trainer=every)["align/steps"] > 0


@pytest.mark.parametrize("wrong", [{"devices": 0}, {"devices": -2}, {"nodes": 0}])
def test_devices_that_cannot_be_counted_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"trainer\.nodes=\d, trainer\.devices=-?\d: at least 1 of each"):
        TrainerSettings(**wrong)  # type: ignore[arg-type]


def test_several_nodes_need_someone_who_begins_their_ranks(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    two = TrainerSettings(accelerator="cpu", nodes=2, strategy=Strategy.ddp)
    with pytest.raises(UserError, match=r"trainer\.nodes=2: this command begins the ranks of its own node alone"):
        two.require(ALIGN.build(), training.settings())
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")  # as torchrun has it
    two.require(ALIGN.build(), training.settings())


class LoadedError(Exception):
    """Ends a run where it loads its model."""


def test_weights_are_loaded_onto_the_gpu_of_their_rank(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(trainer_settings, "choose_device", lambda _: torch.device("cuda", 3))
    monkeypatch.setattr(torch.accelerator, "set_device_index", taken.append)

    def load() -> Any:
        assert taken == [torch.device("cuda", 3)]
        raise LoadedError

    with pytest.raises(LoadedError):
        training.run("loaded", ALIGN, build=load)


def test_only_the_first_rank_keeps_what_all_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = SingleDevice(device="cpu")
    weights = {"a": nn.Parameter(torch.ones(2))}
    assert strategy.gather(weights).keys() == {"a"}
    monkeypatch.setattr(SingleDevice, "is_global_zero", False)
    assert strategy.gather(weights) == {}


@pytest.mark.parametrize("mistake", [False, True])
def test_another_rank_reads_what_the_first_has_chosen(
    mistake: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"step": 1}, chosen := tmp_path / "step-1.ckpt")
    strategy = SingleDevice(device="cpu", checkpoint_io=AtomicCheckpointIO())
    monkeypatch.setattr(SingleDevice, "is_global_zero", False)
    monkeypatch.setattr(strategy_module, "newest", lambda _: pytest.fail("it looks for itself"))
    found = UserError("the first cannot read it.") if mistake else chosen
    monkeypatch.setattr(SingleDevice, "broadcast", lambda *_: found)
    if mistake:
        with pytest.raises(UserError, match="the first cannot read it"):
            strategy.load_checkpoint(tmp_path)
    else:
        assert strategy.load_checkpoint(tmp_path) == {"step": 1}


def test_offloading_is_deepspeeds() -> None:
    with pytest.raises(UserError, match=r"trainer\.offload=true is DeepSpeed's, and trainer\.strategy is ddp\. Set it"):
        TrainerSettings(strategy=Strategy.ddp, offload=True)


@pytest.mark.parametrize("stage", [2, 3])
def test_offloading_is_asked_for_as_deepspeed_documents_it(
    stage: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepspeed.runtime.config import get_data_types_params
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig  # which refuses a key that it does not know

    def config(offload: bool) -> dict[str, Any]:
        chosen = TrainerSettings(accelerator="cpu", devices=2, strategy=Strategy(f"zero{stage}"), offload=offload)
        return cast("Any", chosen.build(ALIGN.build(), tmp_path, [], LOOKS).strategy).config

    asked = config(True)
    assert asked["zero_force_ds_cpu_optimizer"] is False  # else it refuses PyTorch's AdamW
    assert get_data_types_params(asked) == {"grad_accum_dtype": "fp32"}
    zero = DeepSpeedZeroConfig(**asked["zero_optimization"])
    assert zero.stage == stage
    assert zero.offload_optimizer.device == "cpu"
    assert zero.offload_param is None
    assert DeepSpeedZeroConfig(**config(False)["zero_optimization"]).offload_optimizer is None
    for gpu in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        zero = Zero(stage, offload=True, max_grad_norm=1.0).config["zero_optimization"]
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
