"""One server of scripts for all torture, and what each command makes when no one disturbs it."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.contents import contents
from tests.torture.scripts import Scripts

WORLD = ("seeds.count=64", "synthesis.block_size=24")
BRIEF = ("align.batch=4", "tune.batch=4", "trainer.checkpoint_every=1", "model.projector_width=128")
ASKED = ("task=scenes", "scenes.count=16")


@dataclass(frozen=True)
class Undisturbed:
    """A dataset and a run on it; by command, what it left in its folder, and the processor's seconds that it took."""

    dataset: Path
    run: Path
    left: dict[str, dict[str, object]]
    seconds: dict[str, float]

    def line(self, name: str, folder: Path) -> tuple[str, ...]:
        """The command of that name, to work in `folder` on what was made undisturbed."""
        train = ("train.py", f"dataset={self.dataset}", f"run={folder}", *BRIEF)
        lines = {
            "synthesize": ("synthesize.py", f"dataset={folder}", *WORLD),
            "align": (*train, "stages=[align]"),
            "tune": train,
            "evaluate": ("evaluate.py", f"run={self.run}", f"out={folder}", *ASKED),
        }
        return lines[name]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scripts]:
    """The entry scripts as processes."""
    with Scripts(tmp_path_factory.mktemp("scripts")) as started:
        yield started


@pytest.fixture(scope="session")
def undisturbed(scripts: Scripts, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Each command, left alone."""
    base = tmp_path_factory.mktemp("undisturbed")
    made = Undisturbed(base / "dataset", base / "run", {}, {})
    folders = {"synthesize": made.dataset, "align": made.run, "tune": made.run, "evaluate": base / "evaluation"}
    for name, folder in folders.items():
        finished, made.seconds[name] = scripts.run_for(math.inf, made.line(name, folder))
        assert finished.code == 0, finished.err
        made.left[name] = contents(folder)
    return made
