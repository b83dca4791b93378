"""A cluster's warning saves, says how to go on, and nothing is done twice."""

import os
import signal
from pathlib import Path

import pytest

import train as script
from tests.conftest import run_script
from tests.training.tiny import ALIGN, LORA, Dies, Training
from unicorn.errors import StoppedError
from unicorn.training.checkpoint_files import checkpoints


def warn() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_warning_saves_the_step_and_the_run_goes_on_from_it(training: Training) -> None:
    training.run("unwarned", ALIGN)
    with pytest.raises(StoppedError, match=r"stopped by SIGTERM: step 3 of .*align is saved\."):
        training.run("warned", ALIGN, transfer=Dies(training.transfer, 9, warn))
    (saved,) = checkpoints(training.folder / "warned" / "align" / "checkpoints")
    assert saved.stem == "step-00000003"
    training.run("warned", ALIGN)
    assert training.losses("warned", "align") == training.losses("unwarned", "align")


def test_a_warning_at_a_stage_s_last_step_lets_it_finish_and_begins_no_other(training: Training) -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    class Counts(Dies):
        def text(self, *arguments: object) -> object:
            count()
            return self.transfer.text(*arguments)

    training.run("counted", ALIGN, transfer=Counts(training.transfer, 0, warn))
    with pytest.raises(StoppedError, match=r"stopped by SIGTERM: .*align is finished\."):
        training.run("late", ALIGN, LORA, transfer=Dies(training.transfer, calls, warn))
    assert not (training.folder / "late" / "tune").exists()


def test_the_command_says_how_to_go_on(small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (f"dataset={small_dataset}", f"run={tmp_path / 'run'}", "stages=[align]")
    from unicorn.training import module

    training_step = module.UnicornModule.training_step

    def warned(self: module.UnicornModule, step: object) -> None:
        training_step(self, step)  # type: ignore[arg-type]
        warn()

    monkeypatch.setattr(module.UnicornModule, "training_step", warned)
    finished = run_script(script.train, *asked)
    assert finished.code == 143
    said = finished.err.strip().splitlines()[-1]
    assert said.startswith(f"stopped by SIGTERM: step 1 of {tmp_path / 'run' / 'align'} is saved. Go on with: python ")
    assert said.endswith(f"train.py {asked[0]} {asked[1]} 'stages=[align]'")
