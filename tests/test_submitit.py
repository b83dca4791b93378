"""Jobs of a sweep in processes that submitit starts: what they return and how they fail travels; on Slurm, too."""

import json
import os
import re
from pathlib import Path

import pytest

from tests import slurm
from tests.conftest import run_script
from tests.pages import commands
from train import train
from unicorn.config import Config
from unicorn.errors import StoppedError, UserError

LOCAL = ("hydra/launcher=submitit_local", "seed=0,1")
PAGE = commands("sweeps.md", "python train.py")
SHORT = ("align.batch=32", "stages=[align]")


def losses(sweep: Path) -> list[float]:
    """Of the runs of a sweep."""
    return [json.loads(path.read_text())["align/validation/loss"] for path in sorted(sweep.glob("*/metrics.json"))]


@pytest.mark.slow
def test_two_jobs_in_processes_of_their_own_end_in_one_table(small_dataset: Path, tmp_path: Path) -> None:
    (command,) = (command for command in PAGE if "hydra/launcher=submitit_local" in command)
    finished = run_script(train, *command, f"dataset={small_dataset}", f"run={tmp_path}", "transfer=none", *SHORT)
    assert finished.code == 0, finished.err
    logs = [path.read_text() for path in (tmp_path / ".submitit").glob("*/*_log.out")]
    assert len(logs) == 2
    assert all("Trained" in log for log in logs)
    assert "Trained" not in finished.out
    assert len(losses(tmp_path)) == 2
    assert f"{sum(losses(tmp_path)) / 2:.3f}" in finished.out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("no dataset there. Make one."), 2, "error: no dataset there. Make one."),
        (StoppedError("step 3 is saved."), 143, f"step 3 is saved. Go on with: python train.py -m {' '.join(LOCAL)}"),
    ],
)
def test_how_a_job_ended_in_another_process_is_told_in_this_one(
    tmp_path: Path, error: Exception, code: int, line: str
) -> None:
    def train(config: Config) -> None:
        if config.seed:
            raise error

    finished = run_script(train, "-m", *LOCAL, f"run={tmp_path}")
    assert finished.code == code
    assert finished.err.strip().splitlines()[-1].startswith(line)
    assert "Traceback" not in finished.err


@pytest.mark.slow
def test_a_job_that_leaves_no_result_is_told(tmp_path: Path) -> None:
    def train(config: Config) -> None:
        os._exit(9)

    finished = run_script(train, "-m", *LOCAL, f"run={tmp_path}", "seed=0")
    assert finished.code == 2
    (line,) = finished.err.strip().splitlines()
    assert re.match(r"error: a job left no result: Job \d+ .* has not produced any output", line)
    assert line.endswith("See the logs in .submitit of the sweep's folder.")


@pytest.mark.slow
def test_slurm_starts_a_task_for_each_device(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one device learns, two learn, each of them a task of the job."""
    common = (f"dataset={small_dataset}", "transfer=none", *SHORT)
    alone = run_script(train, "-m", f"run={tmp_path / 'alone'}", *common)
    assert alone.code == 0, alone.err
    slurm.install(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (command,) = (command for command in PAGE if "hydra/launcher=submitit_slurm" in command)
    two = ("trainer.devices=2", "hydra.launcher.tasks_per_node=2", "trainer.strategy=ddp", "trainer.accelerator=cpu")
    shared = run_script(train, *command, "experiment=scenes", f"run={tmp_path / 'shared'}", *common, *two)
    assert shared.code == 0, shared.err
    assert losses(tmp_path / "shared") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    logs = sorted((tmp_path / "shared" / ".submitit").glob("*/*_log.out"))
    assert ["Trained" in log.read_text() for log in logs] == [True, False]
    (script,) = (tmp_path / "shared" / ".submitit").glob("*/*.sh")
    assert "#SBATCH --ntasks-per-node=2\n" in script.read_text()
    assert "#SBATCH --signal=TERM@120\n" in script.read_text()
