"""One server of scripts for all torture, and what each command makes when no one disturbs it."""

import math
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.mock_server import MockServer, Model
from tests.torture.contents import contents
from tests.torture.scripts import Scripts

WORLD = ("seeds.count=64", "synthesis.block_size=24")
SERVED = (  # by a server that fails in every way one time in a hundred each; of its words the tower knows none
    *("stages=[captions,instructions]", "llm=openai", "llm.model=mock", "llm.concurrency=8", "llm.timeout=0.5"),
    "synthesis.duplicates=near",
)
BRIEF = ("align.batch=4", "tune.batch=4", "trainer.checkpoint_every=1", "model.projector_width=128")
PACKED = ("tune=lora_small", "tune.batch=24", "data.rows_per_pack=2")  # some twelve rows of two samples, in six packs
TWO_RANKS = ("trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu")
ASKED = ("task=scenes", "scenes.count=16")


@dataclass(frozen=True)
class Made:
    """What a command left in its folder when it was left alone, and the processor's seconds that it took."""

    left: dict[str, object]
    seconds: float


class Undisturbed:
    """What each command makes, by its name, made when it is first asked for."""

    def __init__(self, scripts: Scripts, server: MockServer, base: Path) -> None:
        self.scripts = scripts
        self.server = server
        self.base = base
        self.made: dict[str, Made] = {}

    def of(self, name: str) -> Made:
        """The command, left alone."""
        if name not in self.made:
            folder = self.base / name
            line = self.line(name, folder)
            self.begin(name, folder)
            finished, seconds = self.scripts.run_for(math.inf, line)
            assert finished.code == 0, finished.err
            self.made[name] = Made(contents(folder), seconds)
        return self.made[name]

    def folder(self, name: str) -> Path:
        """Where a command that was left alone has worked."""
        self.of(name)
        return self.base / name

    def line(self, name: str, folder: Path) -> tuple[str, ...]:
        """The command of that name, to work in `folder` on what was made undisturbed."""
        if name == "synthesize":
            return "synthesize.py", f"dataset={folder}", *WORLD
        if name == "served":
            return "synthesize.py", f"dataset={folder}", *WORLD, *SERVED, f"llm.endpoints=[{self.server.address}]"
        if name == "evaluate":
            return "evaluate.py", f"run={self.folder('lora')}", f"out={folder}", *ASKED
        changes = {"align": ["stages=[align]"], "tune": [], "lora": PACKED, "ranks": [*PACKED, *TWO_RANKS]}
        return "train.py", f"dataset={self.folder('synthesize')}", f"run={folder}", *BRIEF, *changes[name]

    def begin(self, name: str, folder: Path) -> None:
        """Have in `folder` what that command begins with, and nothing else."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if name in ("tune", "lora", "ranks"):
            shutil.copytree(self.folder("align") / "align", folder / "align")


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scripts]:
    """The entry scripts as processes."""
    with Scripts(tmp_path_factory.mktemp("scripts")) as started:
        yield started


@pytest.fixture(scope="session")
def undisturbed(scripts: Scripts, tmp_path_factory: pytest.TempPathFactory) -> Generator[Undisturbed]:
    """Each command, left alone."""
    with MockServer(Model(0.002, faults=0.01), keeps=False) as server:
        yield Undisturbed(scripts, server, tmp_path_factory.mktemp("undisturbed"))
