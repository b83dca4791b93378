"""A training's run in Weights & Biases: all its stages in one, each under its name and over its own steps."""

from collections.abc import Mapping
from io import BytesIO
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

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log `loss` as `align/loss` over `align/step`: W&B's own step would have to go on through the stages."""
        self.experiment.define_metric(f"{self._stage}/*", step_metric=f"{self._stage}/step")
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
    def finalize(self, status: str) -> None:
        """Finish the run, as failed where the stage was."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def shown(figure: Figure) -> wandb.Image:
    """A figure as W&B shows it."""
    return wandb.Image(Image.open(BytesIO(figure.png)), caption=figure.caption)
