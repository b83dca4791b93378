"""The entry scripts as a user runs them, in this process, and one small dataset and run that they made."""

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

import evaluate
import synthesize
import train
from unicorn import command
from unicorn.config import Config

os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = (
    "1"  # as command.run does where no one watches; here transformers is loaded
)

SMALL = ("seeds.count=240", "synthesis.block_size=100")
BRIEF = ("align.batch=32", "tune.batch=32")


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run_script(script: Callable[[Config], float | None], *overrides: str) -> Finished:
    """`python script.py *overrides`, without the cost of a new process."""
    arguments, sys.argv = sys.argv, [f"{script.__name__}.py", *overrides]
    code = 0
    try:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            command.run(script)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    finally:
        sys.argv = arguments
    return Finished(code, out.getvalue(), err.getvalue())


def composed(*overrides: str) -> Config:
    """The configuration that a command line comes to."""
    configs = list[Config]()

    def script(config: Config) -> None:
        configs.append(config)

    finished = run_script(script, *overrides)
    assert finished.code == 0, finished.err
    return configs[0]


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 captions of the embedded world. Tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("world") / "dataset"
    finished = run_script(synthesize.synthesize, f"dataset={folder}", *SMALL)
    assert finished.code == 0, finished.err
    return folder


@pytest.fixture(scope="session")
def small_run(small_dataset: Path) -> Path:
    """A run on the small dataset, too short to have learned much."""
    folder = small_dataset.parent / "run"
    finished = run_script(train.train, f"dataset={small_dataset}", f"run={folder}", *BRIEF)
    assert finished.code == 0, finished.err
    return folder


@pytest.fixture(scope="session")
def small_evaluation(small_dataset: Path, small_run: Path) -> Path:
    """The evaluation of the small run on a few pictures."""
    finished = run_script(evaluate.evaluate, f"run={small_run}", "scenes.count=30")
    assert finished.code == 0, finished.err
    return small_run / "evaluation"
