"""A training's run in Weights & Biases: all its stages in one, each under its name and over its own steps."""

from collections.abc import Mapping
from io import BytesIO
from signal import SIGTERM
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from unicorn.report.figures import Figure


class StageWandbLogger(WandbLogger):
    """Logs one stage. The W&B run is ended with it, and the next stage goes on in it by its id."""

    def __init__(self, stage: str, **named: Any) -> None:
        super().__init__(**named)
        self._stage = stage
        self._stopped = False
        self._axis_defined = False

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log `loss` as `align/loss` over `align/step`: W&B's own step would have to go on through the stages."""
        if not self._axis_defined:
            self.experiment.define_metric(f"{self._stage}/*", step_metric=f"{self._stage}/step")
            self._axis_defined = True
        named = {f"{self._stage}/{key}": number for key, number in metrics.items()}
        self.experiment.log(named | {f"{self._stage}/step": step})

    @rank_zero_only
    def log_table(  # pyright: ignore[reportIncompatibleMethodOverride]  # whose data may come in other forms
        self, key: str, columns: list[str], data: list[list[Any]], *, step: int
    ) -> None:
        """Log a step's table."""
        self.log_metrics({key: wandb.Table(columns=[*columns], data=[*data])}, step)

    @rank_zero_only
    def log_figure(self, figure: Figure, *, step: int) -> None:
        """Log a step's figure."""
        self.log_metrics({f"figures/{figure.name}": shown(figure)}, step)

    @rank_zero_only
    def stopped(self) -> None:
        """Have W&B take the run for preempted, not for failed: an agent of a sweep takes it up again."""
        self._stopped = True
        self.experiment.mark_preempting()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Finish the run, if one was begun, as failed where the stage was."""
        super().finalize(status)
        if self._experiment is None:
            return
        # A run that is marked counts as preempted where its code is not 0; this is the command's.
        failed = 128 + SIGTERM if self._stopped else 1
        self._experiment.finish(exit_code=0 if status == "success" else failed)


def shown(figure: Figure) -> wandb.Image:
    """A figure as W&B shows it."""
    return wandb.Image(Image.open(BytesIO(figure.png)), caption=figure.caption)
