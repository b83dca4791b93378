"""Two processes learn what one does, under every strategy, and go on where others were stopped."""

import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

from tests.training.tiny import LOOKS, Training
from tests.training.two_ranks import STAGES
from unicorn.training.checkpoint import checkpoints
from unicorn.training.record import StageRecord

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


@pytest.mark.parametrize(
    ("strategy", "tune"),
    [
        pytest.param(strategy, tune, marks=() if (strategy, tune) in IN_CI else pytest.mark.slow)
        for strategy, tune in product(STRATEGIES, ("lora", "full"))
    ],
)
def test_two_ranks_learn_what_one_does(one: Training, strategy: str, tune: str) -> None:
    name = f"{strategy}-{tune}"
    two_ranks(one, strategy, name, "align", tune)
    for stage in ("align", "tune"):
        assert_learned_alike(one, name, f"one-{tune}", stage)


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
