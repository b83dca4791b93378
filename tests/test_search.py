"""A search gets the held-out loss, keeps its runs like any sweep, and says so where there is no loss to go by."""

import json
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import Finished, run_script
from tests.pages import commands
from tests.test_errors import hold
from train import train
from unicorn.config import Config
from unicorn.errors import UserError
from unicorn.files import lock_folder

# Optuna 2.10 asks SQLAlchemy by a name that it deprecates.
pytestmark = pytest.mark.filterwarnings(r"ignore:The ``declarative_base\(\)`` function is now:DeprecationWarning")

(SEARCH,) = (command for command in commands("sweeps.md", "python train.py") if "hydra/sweeper=optuna" in command)
SHORT = ("align.batch=32", "stages=[align]")


def search(dataset: Path, run: Path, *overrides: str, trials: int = 2) -> Finished:
    return run_script(
        train, *SEARCH, f"dataset={dataset}", f"run={run}", *overrides, f"hydra.sweeper.n_trials={trials}"
    )


def losses(folder: Path) -> dict[float, float]:
    """By learning rate, as the runs of a search tell it."""
    return {
        OmegaConf.load(path.with_name("config.yaml")).align.learning_rate: json.loads(path.read_text())[
            "align/validation/loss"
        ]
        for path in folder.glob("*/metrics.json")
    }


def test_the_best_of_a_search_is_the_run_of_the_least_loss(
    small_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished = search(small_dataset, tmp_path, *SHORT)
    assert finished.code == 0, finished.err
    found, best = losses(tmp_path), OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert len(found) == 2
    assert best.best_value == min(found.values())
    assert found[best.best_params["align.learning_rate"]] == best.best_value
    assert all(f"{loss:.3f}" in finished.out for loss in found.values())
    (part,) = json.loads((tmp_path / "train_comparison.json").read_text())["parts"]
    assert {float(row["settings"]["align.learning_rate"]) for row in part} == found.keys()

    again = search(small_dataset, tmp_path, *SHORT)
    assert again.code == 0, again.err
    assert caplog.messages.count("align: finished before") == 2
    assert losses(tmp_path) == found


def test_values_that_are_drawn_twice_are_trained_once(
    small_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished = search(small_dataset, tmp_path, *SHORT, "align.learning_rate=choice(0.005)", "transfer=none")
    assert finished.code == 0, finished.err
    assert len(losses(tmp_path)) == 1
    assert caplog.messages.count("align: finished before") == 1


@pytest.mark.slow
def test_values_that_are_drawn_twice_at_once_are_trained_once(small_dataset: Path, tmp_path: Path) -> None:
    at_once = ("hydra.sweeper.n_jobs=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    finished = search(small_dataset, tmp_path, *SHORT, *at_once, "align.learning_rate=choice(0.005)", "transfer=none")
    assert finished.code == 0, finished.err
    assert len(losses(tmp_path)) == 1


def test_a_folder_that_another_process_has_is_waited_for_in_a_sweep(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = get_context("spawn")
    held, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "seed-0", held, done))

    def train(config: Config) -> None:
        threading.Timer(0.5, done.set).start()
        lock_folder(config.run_folder, "name").release()

    holder.start()
    try:
        assert held.wait(60)
        finished = run_script(train, "-m", f"run={tmp_path}", "seed=0")
    finally:
        done.set()
        holder.join(60)
    assert finished.code == 0, finished.err
    assert caplog.messages == [f"{tmp_path}/seed-0: another process is at it, and is waited for"]


def told(finished: Finished) -> str:
    """What a sweep that fails ends with."""
    assert finished.code == 2, finished.err
    assert "Traceback" not in finished.err
    return finished.err.strip().splitlines()[-1]


def test_without_a_held_out_loss_a_search_says_so_and_a_grid_does_not_ask(small_dataset: Path, tmp_path: Path) -> None:
    unmeasured = ("stages=[align]", "align.epochs=0")
    line = told(search(small_dataset, tmp_path, *unmeasured))
    assert line.startswith(
        "error: hydra/sweeper=optuna searches by the loss of held-out samples, and train gave none. "
        "Search with train.py, over a stage of one epoch at least, on a dataset of more captions."
    )
    grid = run_script(train, "-m", f"dataset={small_dataset}", f"run={tmp_path}", "seed=0", *unmeasured)
    assert grid.code == 0, grid.err


def test_what_measures_no_loss_is_not_searched(tmp_path: Path) -> None:
    def evaluate(config: Config) -> None: ...

    assert "and evaluate gave none" in told(run_script(evaluate, *SEARCH, f"run={tmp_path}"))


@pytest.mark.parametrize("values", [[4.0, 0.25], [0.25, 4.0]])
def test_what_a_script_returns_is_made_small(tmp_path: Path, values: list[float]) -> None:
    drawn = dict[float, float]()

    def train(config: Config) -> float:
        drawn[config.align.learning_rate] = values[len(drawn)]
        return drawn[config.align.learning_rate]

    finished = run_script(train, *SEARCH, f"run={tmp_path}", "hydra.sweeper.n_trials=2", "transfer=none")
    assert finished.code == 0, finished.err
    best = OmegaConf.load(tmp_path / "optimization_results.yaml")
    assert best.best_value == 0.25
    assert drawn[best.best_params["align.learning_rate"]] == 0.25


def test_a_trial_that_fails_is_told_and_may_be_passed_over(tmp_path: Path) -> None:
    trials = list[float]()

    def train(config: Config) -> float:
        trials.append(config.align.learning_rate)
        if len(trials) % 2:
            raise UserError("the validation loss of align is nan. Lower its learning rate.")
        return 1.0

    asked = (*SEARCH, f"run={tmp_path}", "hydra.sweeper.n_trials=2", "transfer=none")
    assert told(run_script(train, *asked)) == "error: the validation loss of align is nan. Lower its learning rate."
    trials.clear()
    finished = run_script(train, *asked, "hydra.sweeper.max_failure_rate=1")
    assert finished.code == 0, finished.err
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_params["align.learning_rate"] == trials[1]


def test_devices_that_would_draw_for_themselves_are_refused(tmp_path: Path) -> None:
    line = told(run_script(train, *SEARCH, f"run={tmp_path}", "trainer.devices=2", "trainer.strategy=ddp"))
    assert line.startswith(
        "error: hydra/sweeper=optuna would draw other values on each device. Set trainer.devices=1, or"
    )


def test_a_sweeper_that_is_not_there_is_told_with_those_that_are() -> None:
    line = told(run_script(train, "-m", "hydra/sweeper=guess", "seed=0"))
    assert line.startswith(
        "error: no hydra/sweeper=guess here. Choose from basic, optuna; pip install 'unicorn-vlm[sweep]' brings"
    )


def test_a_mistaken_key_in_a_search_is_one_line(tmp_path: Path) -> None:
    finished = run_script(train, *SEARCH, f"run={tmp_path}", "align.learning_rte=interval(0,1)")
    assert "unknown key 'align.learning_rte'. Did you mean 'learning_rate'?" in told(finished)
