"""When a stage's checkpoints are written, and which are kept."""

import signal
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer

from unicorn.errors import StoppedError
from unicorn.training.checkpoint_files import checkpoints
from unicorn.training.strategy import PackStrategy

KEPT = 2


@runtime_checkable
class HearsOfStops(Protocol):
    """A logger that tells a run which a cluster stops, and which goes on, from one that fails."""

    def stopped(self) -> None:
        """The cluster has asked for the end of the run; it is saved."""
        ...


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
        signal.signal(signal.SIGTERM, self._warn)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, if it is time to. Raises StoppedError after a warning to any rank."""
        if trainer.is_last_batch:
            return
        stopping = self.any_warned(trainer)
        if not stopping and trainer.global_step - self.saved < self.every:
            return
        self.saved = trainer.global_step
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / f"step-{trainer.global_step:08d}.ckpt")
        if trainer.is_global_zero:
            for old in checkpoints(self.folder)[:-KEPT]:
                old.unlink()
        if stopping:
            for logger in trainer.loggers:
                if isinstance(logger, HearsOfStops):
                    logger.stopped()
            raise StoppedError(f"stopped by SIGTERM: step {trainer.global_step} of {self.folder.parent} is saved.")

    def any_warned(self, trainer: Trainer) -> bool:
        """Whether any rank has been warned; all must ask."""
        return cast("PackStrategy", trainer.strategy).all_reduce_sum([self.warned]) != [0.0]

    def _warn(self, *_: Any) -> None:
        self.warned = True
