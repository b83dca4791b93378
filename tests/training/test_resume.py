"""A run that ended at any step and is run again ends as one that did not, bit for bit; tests/torture kills it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny import ALIGN, LOOKS, LORA, Dies, Training
from unicorn.errors import UserError
from unicorn.training.checkpoint_files import AtomicCheckpointIO, checkpoints, newest
from unicorn.training.trainer import TrainerSettings

EVERY_STEP = TrainerSettings(accelerator="cpu", checkpoint_every=1)


class KilledError(Exception):
    """Ends a run in the middle."""


def kill() -> None:
    raise KilledError


def assert_same(training: Training, name: str, stage: str) -> None:
    assert training.losses(name, stage) == training.losses("uninterrupted", stage)
    assert training.generations(name, stage) == training.generations("uninterrupted", stage)
    expected = training.weights("uninterrupted", stage)
    for key, weight in training.weights(name, stage).items():
        assert torch.equal(weight, expected[key]), key


@pytest.fixture(scope="module", autouse=True)
def uninterrupted(training: Training) -> None:
    training.validation = LOOKS
    training.run("uninterrupted", ALIGN, LORA)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("call", [1, 2, 9, 17, 21, 31])  # of 8 steps of some 4 packs, 2 passes of validation
def test_align_goes_on_where_it_was(training: Training, call: int, every: int) -> None:
    name = f"align-{call}-{every}"
    trainer = TrainerSettings(accelerator="cpu", checkpoint_every=every)
    with pytest.raises(KilledError):
        training.run(name, ALIGN, transfer=Dies(training.transfer, call, kill), trainer=trainer)
    training.run(name, ALIGN, trainer=trainer)
    assert_same(training, name, "align")


def test_tune_with_dropout_goes_on_where_it_was_however_often_it_is_killed(training: Training) -> None:
    training.run("often", ALIGN)
    for call in (9, 8, 8, 20):
        with pytest.raises(KilledError):
            training.run("often", LORA, transfer=Dies(training.transfer, call, kill), trainer=EVERY_STEP)
    training.run("often", LORA)
    assert_same(training, "often", "tune")


def test_a_checkpoint_that_falls_on_an_epoch_s_end_is_written_a_step_later(training: Training) -> None:
    trainer = TrainerSettings(accelerator="cpu", checkpoint_every=4)
    with pytest.raises(KilledError):
        training.run("edge", ALIGN, transfer=Dies(training.transfer, 31, kill), trainer=trainer)
    assert [path.stem for path in checkpoints(training.folder / "edge" / "align" / "checkpoints")] == ["step-00000005"]


def test_the_seconds_of_all_sessions_are_counted(training: Training) -> None:
    training.run("timed", ALIGN)
    whole = training.run("timed", ALIGN)["align/seconds"]
    slow = Dies(training.transfer, 17, kill)
    slow.before = 0.2
    with pytest.raises(KilledError):
        training.run("slow", ALIGN, transfer=slow, trainer=EVERY_STEP)
    assert training.run("slow", ALIGN)["align/seconds"] > whole + 1.0


def test_a_torn_checkpoint_is_passed_over(training: Training) -> None:
    with pytest.raises(KilledError):
        training.run("torn", ALIGN, transfer=Dies(training.transfer, 30, kill), trainer=EVERY_STEP)
    before, last = checkpoints(training.folder / "torn" / "align" / "checkpoints")
    last.write_bytes(last.read_bytes()[:-100])
    assert newest(last.parent) == before
    training.run("torn", ALIGN)
    assert_same(training, "torn", "align")


def test_a_checkpoint_of_something_else_is_refused(training: Training) -> None:
    with pytest.raises(KilledError):
        training.run("else", ALIGN, transfer=Dies(training.transfer, 12, kill), trainer=EVERY_STEP)
    path = newest(training.folder / "else" / "align" / "checkpoints")
    assert path is not None
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.eyes"] = checkpoint["state_dict"].popitem()[1]
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"the checkpoint does not fit the align stage: model\.\S+ differs"):
        training.run("else", ALIGN)


def test_checkpoints_hold_what_is_trained_and_load_without_running_code(training: Training) -> None:
    training.run("held", ALIGN)
    with pytest.raises(KilledError):
        training.run("held", LORA, transfer=Dies(training.transfer, 20, kill), trainer=EVERY_STEP)
    path = newest(training.folder / "held" / "tune" / "checkpoints")
    assert path is not None
    checkpoint = torch.load(path, weights_only=True)
    names = set(checkpoint["state_dict"])
    assert names
    assert all("lora_" in name or "projector" in name for name in names)
    assert {f"model.{name}" for name in training.weights("uninterrupted", "tune")} == names


def test_checkpoints_of_which_none_is_whole_are_not_trained_over(training: Training) -> None:
    with pytest.raises(KilledError):
        training.run("lost", ALIGN, transfer=Dies(training.transfer, 12, kill), trainer=EVERY_STEP)
    for path in checkpoints(training.folder / "lost" / "align" / "checkpoints"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        UserError, match=r"no checkpoint in .*checkpoints is whole\. Restore one from a copy, or delete"
    ):
        training.run("lost", ALIGN)


def test_a_checkpoint_is_mapped_and_one_that_the_system_cannot_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"step": 1}, path := tmp_path / "step-1.ckpt")
    load, mapped = torch.load, list[bool]()

    def noted(*arguments: Any, mmap: bool = False, **named: Any) -> Any:
        mapped.append(mmap)
        return load(*arguments, mmap=mmap, **named)

    monkeypatch.setattr(torch, "load", noted)
    assert newest(tmp_path) == path
    assert AtomicCheckpointIO().load_checkpoint(path) == {"step": 1}
    assert mapped == [True, True]

    def fail(error: BaseException) -> None:
        raise error

    monkeypatch.setattr(torch, "load", lambda *_, **__: fail(OSError(5, "Input/output error")))
    with pytest.raises(UserError, match=r"step-1\.ckpt cannot be read: .*Input/output error\. See to the disk"):
        newest(tmp_path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: fail(MemoryError()))
    with pytest.raises(MemoryError):
        newest(tmp_path)
