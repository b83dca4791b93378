"""A training is one W&B run, whatever its stages; offline needs no login."""

from typing import Any

import pytest
import wandb

from tests.training.tiny import ALIGN, LORA, Training
from unicorn.training.logger import WandbSettings


class Recorder:
    """Stands for a W&B run."""

    def __init__(self, **started: Any) -> None:
        self.started = started
        self.logged: list[dict[str, Any]] = []
        self.axes: dict[str, str] = {}
        self.exit_code: int | None = None

    def define_metric(self, name: str, step_metric: str | None = None, **_: Any) -> None:
        self.axes[name] = step_metric or ""

    def log(self, numbers: dict[str, Any]) -> None:
        self.logged.append(numbers)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.mark.parametrize("agent", [None, "swept"])
def test_all_stages_log_into_one_run_each_over_its_own_steps(
    training: Training, monkeypatch: pytest.MonkeyPatch, agent: str | None
) -> None:
    runs: list[Recorder] = []
    monkeypatch.setattr(wandb, "init", lambda **started: runs.append(Recorder(**started)) or runs[-1])
    if agent:
        monkeypatch.setenv("WANDB_RUN_ID", agent)
    name = f"recorded-{agent}"
    training.run(name, ALIGN, LORA, logger=WandbSettings(offline=True))
    run_id = agent or (training.folder / name / "wandb-id.txt").read_text()
    for stage, run in zip(("align", "tune"), runs, strict=True):
        assert run.started["id"] == run_id
        assert run.started["name"] == name
        assert run.started["config"][stage]["settings"]["batch"] == 16
        assert run.axes[f"{stage}/*"] == f"{stage}/step"
        steps = [numbers[f"{stage}/step"] for numbers in run.logged if f"{stage}/loss" in numbers]
        assert steps == list(range(1, 9))
        losses = [f"{numbers[f'{stage}/loss']}" for numbers in run.logged if f"{stage}/loss" in numbers]
        assert losses == [loss.split()[0] for loss in training.losses(name, stage).values()]
        assert run.exit_code == 0


@pytest.mark.slow
def test_offline_needs_no_login(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    training.run("wandb", ALIGN, LORA, logger=WandbSettings(offline=True))
    run_id = (training.folder / "wandb" / "wandb-id.txt").read_text()
    written = list((training.folder / "wandb").glob(f"wandb/offline-run-*-{run_id}*/run-{run_id}*.wandb"))
    assert len(written) == 2
    assert all(path.stat().st_size > 0 for path in written)
