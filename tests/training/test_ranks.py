"""Two processes learn what one does, under every strategy, and go on where others were stopped."""

import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from tests.training.tiny import LOOKS, Training
from tests.training.two_ranks import STAGES
from unicorn.training.checkpoint_files import checkpoints
from unicorn.training.record import StageRecord
from unicorn.training.stage import trainable

ROOT = Path(__file__).parents[2]
STRATEGIES = ("ddp", "zero2", "zero2-offload", "zero3", "zero3-offload", "fsdp2")
IN_CI = {("zero2", "lora"), ("fsdp2", "full")}


def two_ranks(training: Training, strategy: str, name: str, *stages: str, warned_at: int = 0) -> str:
    script = str(Path(__file__).with_name("two_ranks.py"))
    done = subprocess.run(
        [sys.executable, script, str(training.folder), strategy, name, str(warned_at), *stages],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def one(training: Training) -> Training:
    training.validation = LOOKS
    for tune in ("lora", "full"):
        training.run(f"one-{tune}", STAGES["align"], STAGES[tune])
    return training


def assert_learned_alike(training: Training, name: str, expected: str, stage: str) -> None:
    before, after = training.weights(expected, stage), training.weights(name, stage)
    assert after.keys() == before.keys()
    for key, weight in before.items():
        torch.testing.assert_close(after[key], weight, atol=2e-5, rtol=1e-3)
    losses = training.losses(expected, stage), training.losses(name, stage)
    assert losses[0].keys() == losses[1].keys()
    for one, other in zip(*(table.values() for table in losses), strict=True):
        assert [float(loss) for loss in other.split()] == pytest.approx([float(loss) for loss in one.split()], abs=1e-4)
    assert training.generations(name, stage) == training.generations(expected, stage)


def assert_losses_alike(training: Training, name: str, expected: str, stage: str, *, within: float) -> None:
    losses = [list(training.losses(run, stage).values()) for run in (name, expected)]
    assert len(losses[0]) == len(losses[1])
    for one, other in zip(*losses, strict=True):
        assert float(one.split()[0]) == pytest.approx(float(other.split()[0]), rel=within)


@pytest.mark.parametrize(
    ("strategy", "tune"),
    [
        pytest.param(strategy, tune, marks=() if (strategy, tune) in IN_CI else pytest.mark.slow)
        for strategy, tune in product(STRATEGIES, ("lora", "full"))
    ],
)
def test_two_ranks_learn_what_one_does(one: Training, strategy: str, tune: str) -> None:
    name = f"{strategy}-{tune}"
    said = two_ranks(one, strategy, name, "align", tune)
    for stage in ("align", "tune"):
        assert_learned_alike(one, name, f"one-{tune}", stage)
    assert re.search(r"rank 0 keeps [1-9]\d+ numbers", said)
    assert set(re.findall(r"(\d+) optimizers are left", said)) == {"0"}
    if strategy != "ddp":  # where each rank's optimiser has all of them anyway
        assert set(re.findall(r"rank 1 keeps (\d+) numbers", said)) == {"0"}


def test_in_bfloat16_float32_weights_reach_the_optimizer_as_they_are(one: Training) -> None:
    """Tuned at a learning rate of 0, weights stay what align learned of them, to the last bit."""
    two_ranks(one, "zero2-bf16", "still", "align", "still")
    assert_losses_alike(one, "still", "one-lora", "align", within=0.02)
    aligned, tuned = one.weights("still", "align"), one.weights("still", "tune")
    projector = {name: weight for name, weight in tuned.items() if "projector" in name}
    assert len(projector) == len(aligned) == 4
    for weight, after in zip(aligned.values(), projector.values(), strict=True):
        assert torch.equal(after, weight)
        assert not torch.equal(after, after.bfloat16().float())
    torch.manual_seed(0)
    module = STAGES["still"].build().prepare(one.build()[0])
    assert all(weight.eq(0).all() for name, weight in tuned.items() if "lora_B" in name)
    assert {name for name in tuned if "lora" in name} == {name for name in trainable(module) if "lora" in name}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["zero2-bf16", "zero2-offload-bf16", "zero3-bf16", "zero3-offload-bf16"])
@pytest.mark.parametrize("tune", ["lora", "full"])
def test_two_ranks_learn_in_bfloat16_what_one_does_in_float32(one: Training, strategy: str, tune: str) -> None:
    name = f"{strategy}-{tune}"
    two_ranks(one, strategy, name, "align", tune)
    for stage in ("align", "tune"):
        assert_losses_alike(one, name, f"one-{tune}", stage, within=0.05)
        assert {weight.dtype for weight in one.weights(name, stage).values()} == {torch.float32}


@pytest.mark.slow
def test_in_bfloat16_zero3_too_keeps_float32_weights_as_they_are(one: Training) -> None:
    two_ranks(one, "zero3-bf16", "still3", "align", "still")
    for weight, after in zip(
        one.weights("still3", "align").values(),
        (weight for name, weight in one.weights("still3", "tune").items() if "projector" in name),
        strict=True,
    ):
        assert torch.equal(after, weight)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "next_strategy"),
    [
        ("ddp", "zero2"),
        ("zero2", "zero3-offload"),
        ("zero3-offload", "zero2-offload"),
        ("zero2-offload", "zero3"),
        ("zero3", "fsdp2"),
        ("fsdp2", "ddp"),
    ],
)
def test_a_run_that_is_stopped_goes_on_under_any_strategy(one: Training, strategy: str, next_strategy: str) -> None:
    for name, then in ((f"{strategy}-{next_strategy}", next_strategy), (f"{strategy}-one", None)):
        shutil.copytree(one.folder / "one-lora" / "align", one.folder / name / "align")
        said = two_ranks(one, strategy, name, "align", "lora", warned_at=7)
        record = StageRecord(one.folder / name / "tune")
        assert not record.finished
        (saved,) = checkpoints(record.checkpoints)
        assert f"step {int(saved.stem.removeprefix('step-'))} of" in said
        if then:
            two_ranks(one, then, name, "align", "lora")
        else:
            one.run(name, STAGES["align"], STAGES["lora"])
        assert_learned_alike(one, name, "one-lora", "tune")
