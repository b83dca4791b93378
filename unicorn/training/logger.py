"""Where the numbers of a training go: always to `metrics.csv`, and to Weights & Biases when asked."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from unicorn.files import replacing

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class LoggerSettings(Protocol):
    """What a file of conf/logger/ names."""

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """The loggers of a stage, which keep what they write in `folder`; `made_by` is what it is made with."""
        ...


@dataclass(kw_only=True)
class CsvSettings:
    """The file alone."""

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """One logger."""
        from unicorn.training.csv_logger import CsvLogger

        return [CsvLogger(folder / "metrics.csv")]


@dataclass(kw_only=True)
class WandbSettings:
    """The file, and Weights & Biases; `offline` needs no login."""

    project: str = "unicorn"
    entity: str | None = None
    offline: bool = False

    def build(self, folder: Path, made_by: dict[str, Any]) -> "list[Logger]":
        """Two loggers; all stages, and those that are resumed, go on in the one W&B run of the training.

        An agent of a W&B sweep says which run that is (WANDB_RUN_ID); its id is kept in the run's folder otherwise.
        """
        from wandb.sdk.lib.runid import generate_id

        from unicorn.training.wandb_logger import StageWandbLogger

        run = folder.parent
        id_file = run / "wandb-id.txt"
        if "WANDB_RUN_ID" not in os.environ and not id_file.exists():
            with replacing(id_file) as temporary:
                temporary.write_text(generate_id())
        online = StageWandbLogger(
            folder.name,
            project=self.project,
            entity=self.entity,
            name=run.name,
            id=os.environ.get("WANDB_RUN_ID") or id_file.read_text(),
            resume="allow",
            offline=self.offline,
            save_dir=run,
            config={folder.name: made_by},
        )
        return [*CsvSettings().build(folder, made_by), online]
