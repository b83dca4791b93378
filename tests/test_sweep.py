"""A sweep: a run folder for each job, found again by evaluate.py with the same overrides, and one table at its end."""

import json
from pathlib import Path

import pytest

from evaluate import evaluate
from tests.conftest import BRIEF, run_script
from tests.test_config import composed
from train import train
from unicorn.command import of_sweep
from unicorn.config import to_config


@pytest.mark.parametrize(
    ("overrides", "run", "evaluation"),
    [
        (["transfer=c3", "seed=1"], "transfer-c3_seed-1", ""),
        (["name=toy", "dataset=data/mine", "seed=1"], "dataset-data-mine_seed-1", ""),
        (["seed=1", "task=scenes", "scenes.count=30"], "seed-1", "task-scenes_scenes.count-30"),
        (
            ["experiment=none", "evaluation.centring=none", "pictures=mine"],
            "experiment-none",
            "evaluation.centring-none_pictures-mine",
        ),
        (["+task=scenes", "stages=[align]"], "run", "task-scenes"),
    ],
)
def test_what_training_reads_names_the_run_and_the_rest_the_evaluation(
    overrides: list[str], run: str, evaluation: str
) -> None:
    config = of_sweep(to_config(composed(run="outputs/toy")), overrides)
    assert config.run == f"outputs/toy/{run}"
    assert Path(config.out or "") == Path(config.run) / "evaluation" / evaluation


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
    for run in losses.values():
        held_out = json.loads((run / "metrics.json").read_text())["tune/validation/loss"]
        assert f"{held_out:.3f}" in trained.out
        for evaluation in (run / "evaluation").iterdir():
            accuracy = json.loads((evaluation / "metrics.json").read_text())["accuracy"]
            assert f"{accuracy:.3f}" in asked.out
    assert "accuracy on scenes.shift=dark" in asked.out
    parts = json.loads((tmp_path / "comparison.json").read_text())["parts"]
    assert [[row["settings"] for row in part] for part in parts] == [
        [{"transfer": transfer, "scenes.shift": shift} for transfer in ("mean_shift", "none")]
        for shift in ("none", "dark")
    ]


def test_a_mistake_in_a_sweep_is_told(small_dataset: Path, tmp_path: Path) -> None:
    finished = run_script(train, "-m", f"dataset={small_dataset}", f"run={tmp_path}", "stages=[algin],[align]")
    assert finished.code == 2
    assert finished.err.strip().splitlines()[-1].startswith("error: unknown stage 'algin'")
