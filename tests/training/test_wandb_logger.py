"""A training is one W&B run, whatever its stages; offline needs no login."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import wandb
from lightning.pytorch.utilities import rank_zero_only

from tests.training.tiny import ALIGN, LORA, Dies, Training
from unicorn.errors import StoppedError
from unicorn.training.logger import WandbSettings
from unicorn.training.validation_settings import ValidationSettings


class Recorder:
    """Stands for a W&B run."""

    def __init__(self, **started: Any) -> None:
        self.started = started
        self.logged: list[dict[str, Any]] = []
        self.axes: dict[str, str] = {}
        self.exit_code: int | None = None
        self.preempting = False

    def define_metric(self, name: str, step_metric: str | None = None, **_: Any) -> None:
        assert name not in self.axes
        self.axes[name] = step_metric or ""

    def mark_preempting(self) -> None:
        self.preempting = True

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
    look = ValidationSettings(gallery=2, generations=2, max_new_tokens=2)
    training.run(name, ALIGN, LORA, logger=WandbSettings(offline=True), validation=look)
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
        tables = [numbers for numbers in run.logged if f"{stage}/generations" in numbers]
        assert [numbers[f"{stage}/step"] for numbers in tables] == [4, 8]
        table = tables[-1][f"{stage}/generations"]
        assert isinstance(table, wandb.Table)
        with (training.folder / name / stage / "generations.csv").open(newline="") as file:
            written = [row for row in csv.DictReader(file) if row["step"] == "8"]
        assert [dict(zip(table.columns, row, strict=True)) | {"step": "8"} for row in table.data] == written
        drawn = [numbers[key] for numbers in run.logged for key in numbers if key == f"{stage}/figures/retrieval"]
        assert len(drawn) == 2
        assert all(isinstance(image, wandb.Image) for image in drawn)
        assert (training.folder / name / stage / "figures" / "retrieval.png").read_bytes()[:4] == b"\x89PNG"
        assert (run.exit_code, run.preempting) == (0, False)


def test_a_run_that_the_cluster_stops_is_preempted_and_has_not_failed(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Recorder] = []
    monkeypatch.setattr(wandb, "init", lambda **started: runs.append(Recorder(**started)) or runs[-1])
    warned = Dies(training.transfer, 9, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError):
        training.run("preempted", ALIGN, transfer=warned, logger=WandbSettings(offline=True))
    (run,) = runs
    assert run.preempting
    assert run.exit_code == 128 + signal.SIGTERM

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        training.run("failed", ALIGN, transfer=Dies(training.transfer, 9, fail), logger=WandbSettings(offline=True))
    assert (runs[-1].exit_code, runs[-1].preempting) == (1, False)


def test_a_stage_that_fails_before_its_first_step_begins_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb, "init", lambda **_: pytest.fail("a run is begun"))
    folder = tmp_path / "run" / "align"
    folder.mkdir(parents=True)
    for logger in WandbSettings(offline=True).build(folder, {}):
        logger.finalize("failed")


@pytest.mark.slow
def test_offline_needs_no_login(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    training.run("wandb", ALIGN, LORA, logger=WandbSettings(offline=True))
    run_id = (training.folder / "wandb" / "wandb-id.txt").read_text()
    written = list((training.folder / "wandb").glob(f"wandb/offline-run-*-{run_id}*/run-{run_id}*.wandb"))
    assert len(written) == 2
    assert all(path.stat().st_size > 0 for path in written)


def test_another_rank_leaves_the_id_to_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, kept = tmp_path / "run" / "align", tmp_path / "run" / "wandb-id.txt"
    folder.mkdir(parents=True)
    settings = WandbSettings(offline=True)
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    settings.build(folder, {})
    assert not kept.exists()
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    first = settings.build(folder, {})[1].version
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    settings.build(folder, {})
    assert kept.read_text() == first
