"""Where the numbers and tables of a training go: always to CSV files, and to Weights & Biases when asked."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from unicorn.files import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning.pytorch.loggers import Logger

    from unicorn.report.figures import Figure


class LoggerSettings(Protocol):
    """What a file of conf/logger/ names."""

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """The loggers of a stage, which keep what they write in `folder`; `made_by` is what it is made with."""
        ...

    def evaluated(self, run: Path, name: str, metrics: "Mapping[str, float]", figures: "Sequence[Figure]") -> None:
        """Take in what an evaluation found of a run, under `name`."""
        ...


@dataclass(kw_only=True)
class CsvSettings:
    """The files alone."""

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """One logger."""
        from unicorn.training.csv_logger import CsvLogger

        return [CsvLogger(folder)]

    def evaluated(self, run: Path, name: str, metrics: "Mapping[str, float]", figures: "Sequence[Figure]") -> None:
        """Nothing: it is in files."""


@dataclass(kw_only=True)
class WandbSettings:
    """The files, and Weights & Biases; `offline` needs no login."""

    project: str = "unicorn"
    entity: str | None = None
    offline: bool = False

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """Two loggers; all stages, and those that are resumed, go on in the one W&B run of the training."""
        from unicorn.training.wandb_logger import StageWandbLogger

        online = StageWandbLogger(
            folder.name,
            project=self.project,
            entity=self.entity,
            name=folder.parent.name,
            id=_run_id(folder.parent),
            resume="allow",
            offline=self.offline,
            save_dir=folder.parent,
            config={folder.name: made_by},
        )
        return [*CsvSettings().build(folder, made_by), online]

    def evaluated(self, run: Path, name: str, metrics: "Mapping[str, float]", figures: "Sequence[Figure]") -> None:
        """Numbers and figures in the W&B run of the training."""
        import wandb

        from unicorn.training.wandb_logger import shown

        with wandb.init(
            project=self.project,
            entity=self.entity,
            name=run.name,
            id=_run_id(run),
            resume="allow",
            mode="offline" if self.offline else "online",
            dir=run,
        ) as online:
            pictures = {f"figures/{figure.name}": shown(figure) for figure in figures}
            online.log({f"{name}/{key}": value for key, value in (*metrics.items(), *pictures.items())})


def _run_id(run: Path) -> str:
    """The id of a training's W&B run: an agent of a sweep says it, and it is kept in the run's folder otherwise."""
    from lightning.pytorch.utilities import rank_zero_only
    from wandb.sdk.lib.runid import generate_id

    kept = run / "wandb-id.txt"
    if given := os.environ.get("WANDB_RUN_ID"):
        return given
    if getattr(rank_zero_only, "rank", 0):
        return generate_id()  # it logs nothing, and leaves the file to the first rank
    if not kept.exists():
        with replacing(kept) as temporary:
            temporary.write_text(generate_id())
    return kept.read_text()
