"""The progress of a stage: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import logging
import time
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unicorn.training.module import UnicornModule

_log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 30.0


class ProgressDisplay(Callback):
    """Shows the steps of all epochs, with the loss and the tokens per second."""

    def __init__(self, stage: str, epochs: int) -> None:
        self.stage = stage
        self.epochs = epochs
        console = Console(stderr=True)
        self.on_terminal = console.is_terminal
        self.bar = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the step that a resumed run begins at."""
        self.total = int(trainer.num_training_batches) * self.epochs
        self.task = self.bar.add_task(self.stage, total=self.total, completed=trainer.global_step, numbers="")
        self.said = time.monotonic()
        if self.on_terminal and trainer.is_global_zero:
            self.bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the step."""
        numbers = "loss {loss:.3f}  {tokens_per_second:,.0f} tokens/s".format(
            **cast("UnicornModule", pl_module).numbers
        )
        self.bar.update(self.task, completed=trainer.global_step, numbers=numbers)
        now = time.monotonic()
        if not self.on_terminal and trainer.is_global_zero and now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            left = f"{self.bar.tasks[0].time_remaining or 0:.0f} s left"
            _log.info("%s: step %d of %d, %s, %s", self.stage, trainer.global_step, self.total, numbers, left)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the bar away, whatever ended the stage."""
        if self.on_terminal:
            self.bar.stop()
