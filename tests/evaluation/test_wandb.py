"""An evaluation goes into the W&B run of the training, when asked."""

import json
from pathlib import Path
from typing import Any, Self

import pytest
import wandb

from evaluate import evaluate
from tests.conftest import run_script


class Recorder:
    """Stands for a W&B run."""

    def __init__(self, **started: Any) -> None:
        self.started = started
        self.logged: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, numbers: dict[str, Any]) -> None:
        self.logged |= numbers


def test_numbers_and_figures_go_into_the_run_of_the_training(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Recorder] = []
    monkeypatch.setattr(wandb, "init", lambda **started: runs.append(Recorder(**started)) or runs[-1])
    monkeypatch.setenv("WANDB_RUN_ID", "trained")
    out = tmp_path / "dark"
    asked = (f"run={small_run}", f"out={out}", "task=scenes", "scenes.count=20")
    finished = run_script(evaluate, *asked, "logger=wandb", "logger.offline=true")
    assert finished.code == 0, finished.err
    (run,) = runs
    assert run.started["id"] == "trained"
    assert (run.started["resume"], run.started["mode"]) == ("allow", "offline")
    figures = {key: run.logged.pop(key) for key in list(run.logged) if "figures/" in key}
    assert run.logged == {f"dark/{key}": value for key, value in json.loads((out / "metrics.json").read_text()).items()}
    assert sorted(figures) == sorted(f"dark/figures/{path.stem}" for path in out.glob("scenes/figures/*.png"))
    assert all(isinstance(figure, wandb.Image) for figure in figures.values())


def test_unasked_nothing_is_begun(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("a W&B run was begun"))
    asked = (f"run={small_run}", f"out={tmp_path}", "task=scenes", "scenes.count=20")
    assert run_script(evaluate, *asked).code == 0
