"""A disk that fills up is one line that names a file; nothing is corrupt, and with room made it goes on."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.conftest import Undisturbed
from tests.torture.contents import contents
from tests.torture.scripts import Disk, Scripts, why_no_disk
from unicorn.dataset.manifest import Manifest

pytestmark = pytest.mark.skipif(why_no_disk() is not None, reason=str(why_no_disk()))

FEW_CHECKPOINTS = ("trainer.checkpoint_every=100",)


@dataclass(frozen=True)
class Starved:
    """A command is run with `free` more bytes to write in, which are too few for `file` (a pattern)."""

    free: int
    file: str
    changes: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """What the command is to have done before, with room: its journals, which go, would make some."""


# One after the other on what the one before has left: each comes further.
SYNTHESIS = [
    Starved(0, r"manifest\.json"),
    Starved(8 << 10, r"captions/captions-00000\.journal\.jsonl"),
    Starved(34 << 10, r"captions/captions-0000\d\.parquet"),
    Starved(36 << 10, r"(instructions|rejects)/instructions-0000\d\..*"),
    Starved(8 << 10, r"embeddings/embeddings-0000\d\.arrow", first=("stages=[captions,instructions]",)),
    Starved(40 << 10, r"embeddings/statistics\.(json|safetensors)"),
]
ALIGN = [
    Starved(0, r"align/stage\.json"),
    Starved(8 << 10, r"align/samples\.arrow"),
    Starved(1 << 20, r"align/checkpoints/step-00000001\.ckpt"),
    Starved(8 << 20, r"align/checkpoints/step-00000003\.ckpt"),
    Starved(512 << 10, r"align/weights\.safetensors", FEW_CHECKPOINTS),
]
TUNE = [
    Starved(1 << 20, r"tune/checkpoints/step-00000001\.ckpt"),
    Starved(1 << 20, r"tune/weights\.safetensors", FEW_CHECKPOINTS),
    Starved(6 << 20, r"model", FEW_CHECKPOINTS),
]
EVALUATION = [
    Starved(0, r"scenes/figures/scenes_accuracy\.png"),
    Starved(72 << 10, r"scenes/predictions\.parquet"),
    Starved(160 << 10, r"report\.html"),
]


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("synthesize", SYNTHESIS),
        ("align", ALIGN),
        pytest.param("tune", TUNE, marks=pytest.mark.slow),
        pytest.param("evaluate", EVALUATION, marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_line_and_no_harm(
    name: str, times: list[Starved], scripts: Scripts, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    disk = scripts.mount(tmp_path / "disk", "64m")
    work, seen = disk.path / "work", disk.seen / "work"
    if name == "tune":
        undisturbed.begin(name, seen)
    line = undisturbed.line(name, work)
    for starved in times:
        if starved.first:
            assert scripts.run(*line, *starved.first).code == 0
        disk.fill(starved.free)
        finished = scripts.run(*line, *starved.changes)
        said = re.fullmatch(
            rf"(?:\w+: (?:goes on at step-\d+|finished before)\n)*error: cannot write {work}/(\S+): "
            r".*No space left on device.*\. "
            r"Make room or choose another folder; what was there is kept\.\n",
            finished.err,
        )
        assert said, finished.err
        assert re.fullmatch(starved.file, said[1])
        assert finished.code == 2
        require_sound(disk)
        disk.make_room()
    finished = scripts.run(*line)
    assert finished.code == 0, finished.err
    assert contents(seen, work) == undisturbed.of(name).left


def require_sound(disk: Disk) -> None:
    """Nothing is half there, and all that a manifest knows is as it was written."""
    assert not list(disk.seen.rglob("*.partial"))
    for path in disk.seen.rglob("manifest.json"):
        manifest = Manifest.load(path.parent)
        for part in manifest.parts:
            manifest.check(path.parent, part, checksums=True)
