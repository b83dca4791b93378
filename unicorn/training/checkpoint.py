"""Checkpoints: written whole or not at all, the newest found again, and read without running code."""

import logging
import signal
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import TorchCheckpointIO

from unicorn.errors import StoppedError
from unicorn.files import replacing
from unicorn.training.strategy import PackStrategy

_log = logging.getLogger(__name__)
KEPT = 2


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints whose bytes are on the disk before their name is."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write through a temporary file. Raises UserError, naming `path`, on a full disk."""
        with replacing(Path(path)) as temporary:
            try:
                with temporary.open("wb") as file:
                    torch.save(checkpoint, file)
            except RuntimeError as error:  # with which torch covers what the system said
                raise (error.__context__ or error) from None


class Checkpoints(Callback):
    """Saves every `every` steps, and at SIGTERM, with which clusters warn; keeps the last two.

    None is written at an epoch's last step, where Lightning's loops are between two epochs; the next step's is instead.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder = folder
        self.every = every
        self.warned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that a resumed run begins at, and listen for the warning."""
        self.saved = trainer.global_step
        # In place of Lightning's handler, which would exchange messages between ranks from within any of their steps.
        signal.signal(signal.SIGTERM, partial(self._warn, trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, if it is time to. Raises StoppedError after a warning to any rank."""
        if trainer.is_last_batch:
            return
        warned = cast("PackStrategy", trainer.strategy).sum([self.warned]) != [0.0]
        if not warned and trainer.global_step - self.saved < self.every:
            return
        self.saved = trainer.global_step
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:08d}.ckpt")
        if trainer.is_global_zero:
            for old in checkpoints(self.folder)[:-KEPT]:
                old.unlink()
        if warned:
            raise StoppedError(f"stopped by SIGTERM: step {trainer.global_step} of {self.folder.parent} is saved.")

    def _warn(self, trainer: Trainer, number: int, _: Any) -> None:
        self.warned = True
        if trainer.strategy.launcher is not None:  # which began the other ranks of this node
            trainer.strategy.launcher.kill(signal.Signals(number))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step-*.ckpt"))


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, if there is one; one that is damaged is passed over, with a word."""
    for path in reversed(checkpoints(folder)):
        if _is_whole(path):
            return path
        _log.warning("%s is damaged and left out: the training goes on from an earlier step.", path)
    return None


def _is_whole(path: Path) -> bool:
    """Whether torch can read the file and its checksums hold, which torch writes and does not compare."""
    try:
        torch.load(path, map_location="cpu", weights_only=True)
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:  # both have many words for it: RuntimeError, UnpicklingError, BadZipFile, EOFError, ...
        return False
