"""Where the numbers of a training go: always to `metrics.csv`, and to Weights & Biases when asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from unicorn.files import replacing

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class LoggerSettings(Protocol):
    """What a file of conf/logger/ names."""

    def build(self, folder: Path, name: str) -> "list[Logger]":
        """The loggers of a stage, which keep what they write in `folder`."""
        ...


@dataclass(kw_only=True)
class CsvSettings:
    """The file alone."""

    def build(self, folder: Path, name: str) -> "list[Logger]":
        """One logger."""
        from unicorn.training.csv_logger import CsvLogger

        return [CsvLogger(folder / "metrics.csv")]


@dataclass(kw_only=True)
class WandbSettings:
    """The file, and Weights & Biases; `offline` needs no login."""

    project: str = "unicorn"
    entity: str | None = None
    offline: bool = False

    def build(self, folder: Path, name: str) -> "list[Logger]":
        """Two loggers; a resumed stage goes on in its W&B run, whose id is kept in the folder."""
        from wandb.sdk.lib.runid import generate_id

        from unicorn.training.wandb_logger import StageWandbLogger

        id_file = folder / "wandb-id.txt"
        if not id_file.exists():
            with replacing(id_file) as temporary:
                temporary.write_text(generate_id())
        online = StageWandbLogger(
            project=self.project,
            entity=self.entity,
            name=f"{name}-{folder.name}",
            group=name,
            id=id_file.read_text(),
            resume="allow",
            offline=self.offline,
            save_dir=folder,
        )
        return [*CsvSettings().build(folder, name), online]
