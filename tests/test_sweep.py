"""A sweep: a run folder for each job, found again by evaluate.py with the same overrides, and one table at its end."""

import json
from pathlib import Path

import pytest

from evaluate import evaluate
from tests.conftest import BRIEF, run_script
from tests.pages import commands
from tests.test_config import composed
from train import train
from unicorn.config import Config, save_config, to_config
from unicorn.errors import UserError
from unicorn.report.metrics import write_metrics
from unicorn.sweep import of_sweep


def grid(command: list[str]) -> bool:
    return not any(word.startswith(("hydra/sweeper", "hydra/launcher=submitit")) for word in command)


@pytest.mark.parametrize(
    ("overrides", "run", "evaluation"),
    [
        (["transfer=c3", "seed=1"], "seed-1_transfer-c3", ""),
        (["name=toy", "dataset=data/mine", "seed=1"], "dataset-data+mine_seed-1", ""),
        (["seed=1", "task=scenes", "scenes.count=30"], "seed-1", "scenes.count-30_task-scenes"),
        (
            ["experiment=none", "evaluation.centring=none", "pictures=mine"],
            "experiment-none",
            "evaluation.centring-none_pictures-mine",
        ),
        (["+task=scenes", "stages=[align]"], "run", "task-scenes"),
        (["seed=1", "transfer=c3"], "seed-1_transfer-c3", ""),
    ],
)
def test_what_training_reads_names_the_run_and_the_rest_the_evaluation(
    overrides: list[str], run: str, evaluation: str
) -> None:
    config = of_sweep(to_config(composed(run="outputs/toy")), overrides)
    assert config.run == f"outputs/toy/{run}"
    assert Path(config.out or "") == Path(config.run) / "evaluation" / evaluation


def test_many_overrides_are_told_apart_in_a_name_that_a_disk_takes(tmp_path: Path) -> None:
    drawn = [f"tune.learning_rate_{index}=0.000178593170784305{index}" for index in range(8)]
    names = list[str]()
    for overrides in (drawn, drawn[::-1], [*drawn[:-1], f"{drawn[-1]}1"]):
        run = of_sweep(to_config(composed(run=str(tmp_path))), overrides).run_folder
        run.mkdir(exist_ok=True)
        names.append(run.name)
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("tune.learning_rate_0-0.0001785931707843050_tune.learning_rate_1-")


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in commands("sweeps.md", "python train.py") if grid(command)])
def test_the_grids_of_the_page_end_in_their_table(command: list[str], small_dataset: Path, tmp_path: Path) -> None:
    shorter = ("align.epochs=0", "tune.epochs=1", *BRIEF)
    finished = run_script(train, *command, f"dataset={small_dataset}", f"run={tmp_path}", "seed=0", *shorter)
    assert finished.code == 0, finished.err
    (part,) = json.loads((tmp_path / "train_comparison.json").read_text())["parts"]
    assert [row["settings"] for row in part] == [{"transfer": "mean_shift"}, {"transfer": "none"}]


def test_a_second_rank_which_runs_the_sweep_beside_the_first_leaves_the_table_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [tmp_path / "seed-0", tmp_path / "seed-1"]

    def train(config: Config) -> None:
        save_config(config, config.run_folder / "config.yaml")
        write_metrics(config.run_folder, {"tune/validation/loss": 0.5})

    for rank in ("1", "0"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        finished = run_script(train, "-m", f"run={tmp_path}", "seed=0,1")
        assert finished.code == 0, finished.err
        assert all((job / "metrics.json").is_file() for job in jobs)
        assert (tmp_path / "train_comparison.json").exists() == (rank == "0")


def test_a_sweep_leaves_one_table_over_its_runs_and_one_over_their_evaluations(
    small_dataset: Path, tmp_path: Path
) -> None:
    common = ["-m", f"dataset={small_dataset}", f"run={tmp_path}", "transfer=none,mean_shift", *BRIEF]
    trained = run_script(train, *common)
    assert trained.code == 0, trained.err
    asked = run_script(evaluate, *common, "task=scenes", "scenes.count=20", "scenes.shift=none,dark")
    assert asked.code == 0, asked.err

    losses = {
        json.loads((path / "stage.json").read_text())["transfer"]["kind"]: path.parent
        for path in tmp_path.glob("*/tune")
    }
    assert len(losses) == 2
    (part,) = json.loads((tmp_path / "train_comparison.json").read_text())["parts"]
    assert [row["settings"] for row in part] == [{"transfer": "mean_shift"}, {"transfer": "none"}]
    for run in losses.values():
        held_out = json.loads((run / "metrics.json").read_text())["tune/validation/loss"]
        assert f"{held_out:.3f}" in trained.out
        for evaluation in (run / "evaluation").iterdir():
            accuracy = json.loads((evaluation / "metrics.json").read_text())["accuracy"]
            assert f"{accuracy:.3f}" in asked.out
    assert "accuracy on scenes.shift=dark" in asked.out
    parts = json.loads((tmp_path / "evaluate_comparison.json").read_text())["parts"]
    assert [[row["settings"] for row in part] for part in parts] == [
        [{"transfer": transfer, "scenes.shift": shift} for transfer in ("mean_shift", "none")]
        for shift in ("none", "dark")
    ]


def test_a_mistake_in_a_sweep_is_told(small_dataset: Path, tmp_path: Path) -> None:
    finished = run_script(train, "-m", f"dataset={small_dataset}", f"run={tmp_path}", "stages=[algin],[align]")
    assert finished.code == 2
    assert finished.err.strip().splitlines()[-1].startswith("error: unknown stage 'algin'")


def test_one_folder_for_all_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"out={tmp_path} is one folder, and a sweep has one for each job"):
        of_sweep(to_config(composed(run="outputs/toy", out=str(tmp_path))), ["seed=1"])


def last_line(sweep: Path, *overrides: str) -> str:
    """What an evaluation of all runs of a sweep ends with; it fails."""
    finished = run_script(evaluate, "-m", f"run={sweep}", *overrides, "task=scenes", "scenes.count=10")
    assert finished.code == 2, finished.err
    return finished.err.strip().splitlines()[-1]


def test_what_fails_at_the_end_of_a_sweep_or_in_its_jobs_names_the_file(small_dataset: Path, tmp_path: Path) -> None:
    overrides = (f"dataset={small_dataset}", "seed=0,1")
    trained = run_script(train, "-m", f"run={tmp_path}", *overrides, "align.epochs=0", "tune.epochs=0")
    assert trained.code == 0, trained.err
    name = f"dataset={small_dataset}".replace("=", "-").replace("/", "+")
    run = tmp_path / f"align.epochs-0_{name}_seed-0_tune.epochs-0"
    (tmp_path / "evaluate_comparison.json").mkdir()
    asked = (*overrides, "align.epochs=0", "tune.epochs=0")
    assert last_line(tmp_path, *asked).startswith(f"error: cannot write {tmp_path}/evaluate_comparison.json: ")
    (tmp_path / "evaluate_comparison.json").rmdir()
    (run / "evaluation" / "left").mkdir()
    (run / "evaluation" / "left" / "config.yaml").write_text("seed: 0")
    (run / "evaluation" / "left" / "metrics.json").write_text('{"accuracy": ')
    line = last_line(tmp_path, *asked)
    assert f"{run}/evaluation/left cannot be compared: its config.yaml or metrics.json is damaged." in line
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("seed: 0", "seed: O"))
    assert last_line(tmp_path, *asked).startswith(f"error: {run}/config.yaml")
