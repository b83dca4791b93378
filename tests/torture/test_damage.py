"""Whatever a disk does to a file, who reads it says which file it is; nothing is read wrong in silence."""

import logging
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataset import example
from tests.training.tiny import ALIGN, Dies, Training
from unicorn.config import load_config
from unicorn.dataset import Journal, Part, UnicornDataset
from unicorn.errors import UserError
from unicorn.evaluation.run import Run
from unicorn.training.checkpoint_files import checkpoints, newest
from unicorn.training.trainer import TrainerSettings
from unicorn.transfer import Statistics, load_transfer

CHANGES: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "emptied": lambda _: b"",
    "cut to its first byte": lambda content: content[:1],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by its last byte": lambda content: content[:-1],
    "appended to": lambda content: content + b"\0",
    "overwritten": lambda content: bytes(len(content)),
}
# Of every file its head, its tail, and places between.
FLIPPED = [0, 7, 0.01, 0.3, 0.7, 0.99, -9, -1]


def flipped(content: bytes, place: float, bit: int) -> bytes:
    """The content with one bit changed, at a place or a share of its length."""
    changed = bytearray(content)
    changed[int(place * len(content) if isinstance(place, float) else place) % len(content)] ^= 1 << bit
    return bytes(changed)


@contextmanager
def holding(path: Path, content: bytes | None) -> Generator[None]:
    """Give a file another content, or take it away, for the length of a block."""
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def require_named(path: Path, read: Callable[[], object], but: str = "") -> None:
    """Reading names the file and says what to do, whatever happened to it `but` one change."""
    content = path.read_bytes()
    changed = [change(content) for name, change in CHANGES.items() if name != but]
    changed += [flipped(content, place, number % 8) for number, place in enumerate(FLIPPED)]
    for damage in changed:
        with (
            holding(path, damage),
            pytest.raises(UserError, match=rf"{re.escape(str(path))}\b.* (Restore it from a copy|Delete .* to have)"),
        ):
            read()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example dataset, each of whose files is damaged and mended."""
    folder = tmp_path_factory.mktemp("damage") / "dataset"
    example.write(folder)
    return folder


def files_of(dataset: Path) -> list[Path]:
    return [path for part in Part for path in sorted((dataset / part).iterdir())]


def test_every_file_of_a_dataset_is_named(dataset: Path) -> None:
    paths = files_of(dataset)
    assert len(paths) == 3 * example.BLOCKS + 2
    for path in paths:
        require_named(path, lambda: UnicornDataset.open(dataset))


def test_every_bit_of_a_manifest_is_believed_or_not(dataset: Path) -> None:
    path = dataset / "manifest.json"
    require_named(path, lambda: UnicornDataset.open(dataset), but="missing")  # then there is no dataset
    content = path.read_bytes()
    with holding(path, content):
        for place in range(len(content)):
            path.write_bytes(flipped(content, place, place % 8))
            with pytest.raises(UserError, match=f"{re.escape(str(path))} is corrupt"):
                UnicornDataset.open(dataset)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), bit=st.integers(0, 7))
def test_any_bit_of_any_file_of_a_dataset(dataset: Path, data: st.DataObject, bit: int) -> None:
    path = data.draw(st.sampled_from(files_of(dataset)))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    with (
        holding(path, flipped(content, place, bit)),
        pytest.raises(
            UserError, match=f"{re.escape(str(path))} is corrupt: its checksum is not that of what was written"
        ),
    ):
        UnicornDataset.open(dataset)


def test_any_two_files_swapped_are_named(dataset: Path) -> None:
    for one, other in combinations(files_of(dataset), 2):
        with (
            holding(one, other.read_bytes()),
            holding(other, one.read_bytes()),
            pytest.raises(UserError, match=r"(is corrupt|has).* or delete .* and synthesize it again\.") as raised,
        ):
            UnicornDataset.open(dataset)
        assert str(raised.value).startswith((str(one), str(other)))


@pytest.mark.parametrize("part", Part)
def test_what_is_written_on_from_is_checked_as_well(dataset: Path, part: Part) -> None:
    for path in sorted((dataset / part).iterdir()):
        content = path.read_bytes()
        for damage in (None, b"", content[:-1], content + b"\0"):
            with holding(path, damage), pytest.raises(UserError, match=re.escape(str(path))):
                example.write(dataset)


def test_captions_are_checked_before_anything_is_made_of_them(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    shutil.rmtree(copy / "instructions")
    path = Part.CAPTIONS.shard(copy, 1)
    path.write_bytes(flipped(path.read_bytes(), 0.5, 0))
    with pytest.raises(UserError, match=f"{re.escape(str(path))} is corrupt"):
        example.write(copy)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_any_bit_of_a_journal(tmp_path_factory: pytest.TempPathFactory, place: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "block.journal.jsonl"
    journal = Journal(path)
    journal.append([{"id": str(number), "text": "A “thing”.\n", "seed": number} for number in range(3)])
    journal.close()
    path.write_bytes(flipped(path.read_bytes(), place, bit))
    if not path.read_bytes().endswith(b"\n"):  # then the last line was never acknowledged
        journal = Journal(path)
        journal.close()
        assert [record["seed"] for record in journal.records] == [0, 1]
    else:
        with pytest.raises(UserError, match=rf"{re.escape(str(path))}, line [123] is corrupt\. Delete the file"):
            Journal(path)


def test_statistics_are_named_wherever_they_lie(small_evaluation: Path) -> None:
    folder = small_evaluation / "scenes" / "image_statistics"
    require_named(folder / "statistics.json", lambda: Statistics.load(folder), but="missing")  # then there are none
    require_named(folder / "statistics.safetensors", lambda: Statistics.load(folder))


def test_a_transfer_is_named(small_run: Path) -> None:
    folder = small_run / "transfer"
    require_named(folder / "transfer.json", lambda: load_transfer(folder), but="missing")  # then there is none
    require_named(folder / "transfer.safetensors", lambda: load_transfer(folder))


def test_every_file_of_a_model_is_named(small_run: Path) -> None:
    files = {path.relative_to(small_run / "model") for path in (small_run / "model").rglob("*") if path.is_file()}
    names = {path.as_posix() for path in files if "image_statistics" not in path.parts}  # which no run reads
    assert names > {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "checksums.json"}
    assert names > {"processor_config.json", "vision/encoder.json", "vision/transfer/transfer.json"}
    for name in sorted(names):
        but = "missing" if name == "config.json" else ""  # then there is no model
        require_named(small_run / "model" / name, lambda: Run.open(small_run), but)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda _: b"",
        lambda content: content[: len(content) // 2],
        lambda content: bytes(len(content)),
        lambda content: content + b"sede: 1\n",
        lambda content: content.replace(b"seed: 0", b"seed: O", 1),
        lambda content: content.replace(b"Settings", b"Settinfs", 1),
        lambda content: content.replace(b"\n  ", b"\n\xb0 ", 1),
    ],
)
def test_a_configuration_is_named(small_run: Path, change: Callable[[bytes], bytes | None]) -> None:
    path = small_run / "config.yaml"
    damage = change(path.read_bytes())
    with (
        holding(path, damage),
        pytest.raises(
            UserError, match=r"no configuration at|cannot be read: .* Restore it from a copy, or train again\."
        ) as raised,
    ):
        load_config(path)
    assert str(path) in str(raised.value)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """One dataset and one language model."""
    return Training(tmp_path_factory.mktemp("training"))


def test_every_file_of_a_finished_stage_is_named(training: Training) -> None:
    training.run("finished", ALIGN)
    folder = training.folder / "finished" / "align"
    for name in ("stage.json", "weights.safetensors", "metrics.json"):
        require_named(folder / name, lambda: training.run("finished", ALIGN))


class StoppedError(Exception):
    """Ends a run in the middle."""


def stop() -> None:
    raise StoppedError


@pytest.fixture(scope="module")
def stopped(training: Training) -> Path:
    """The folder of a stage that stopped in its middle, with two checkpoints."""
    every_step = TrainerSettings(accelerator="cpu", checkpoint_every=1)
    with pytest.raises(StoppedError):
        training.run("stopped", ALIGN, transfer=Dies(training.transfer, 15, stop), trainer=every_step)
    return training.folder / "stopped" / "align"


def test_every_file_of_a_stage_that_stopped_is_named(training: Training, stopped: Path) -> None:
    require_named(stopped / "stage.json", lambda: training.run("stopped", ALIGN))
    with (
        holding(stopped / "stage.json", None),
        pytest.raises(UserError, match=r"stage\.json is not there, which says what made the rest\."),
    ):
        training.run("stopped", ALIGN)
    require_named(stopped / "samples.arrow", lambda: training.run("stopped", ALIGN))
    # Samples without samples.json are made again, and where none is rejected there is nothing in rejects.jsonl.
    require_named(stopped / "samples.json", lambda: training.run("stopped", ALIGN), but="missing")
    rejects = stopped / "rejects.jsonl"
    for damage in (None, b"x"):
        with holding(rejects, damage), pytest.raises(UserError, match=f"{rejects} .* Delete .* samples made again"):
            training.run("stopped", ALIGN)
    with holding(stopped / "metrics.csv", b"\xff"), pytest.raises(UserError, match=r"metrics\.csv is damaged\. Delete"):
        training.run("stopped", ALIGN)


@settings(deadline=None)
@given(place=st.integers(0) | st.integers(-1500, -1), bit=st.integers(0, 7))  # anywhere, and in the archive's directory
def test_any_bit_of_a_checkpoint_is_harmless_or_passed_over(stopped: Path, place: int, bit: int) -> None:
    before, last = checkpoints(stopped / "checkpoints")
    content = last.read_bytes()
    whole = torch.load(last, weights_only=True)["state_dict"]
    with holding(last, flipped(content, place, bit)):
        if newest(last.parent) == before:
            return
        read = torch.load(last, weights_only=True)["state_dict"]  # a date in the archive, or a gap in it
        assert all(torch.equal(read[name], weights) for name, weights in whole.items())


def test_a_checkpoint_that_is_cut_or_overwritten_is_passed_over_with_a_word(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, last = checkpoints(stopped / "checkpoints")
    content = last.read_bytes()
    said: list[str] = []
    log = logging.getLogger("unicorn.training.checkpoint_files")
    monkeypatch.setattr(log, "warning", lambda words, *values: said.append(words % values))
    for damage in (b"", content[:1], content[: len(content) // 2], content[:-1], bytes(len(content))):
        said.clear()
        with holding(last, damage):
            assert newest(last.parent) == before
        assert f"{last} is damaged and left out" in said[0]
