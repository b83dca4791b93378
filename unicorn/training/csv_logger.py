"""`metrics.csv`: one row for each logged step, which goes on where a resumed run goes on."""

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from unicorn.errors import UserError
from unicorn.files import replacing


class CsvLogger(Logger):
    """Rows stay in memory and the file is replaced whole; Lightning's own deletes it when a run resumes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._before = read_rows(path) if path.exists() else {}
        self._rows: dict[int, dict[str, Any]] = {}

    @property
    def name(self) -> str:
        """The file's."""
        return self.path.stem

    @property
    def version(self) -> int:
        """There is one."""
        return 0

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add to a step's row; what an interrupted run wrote of this step and later ones is dropped."""
        step = step or 0
        if not self._rows:
            self._rows = {before: row for before, row in self._before.items() if before < step}
        self._rows.setdefault(step, {}).update(metrics)

    @rank_zero_only
    def save(self) -> None:
        """Replace the file, once there is something to write: a resumed run saves before its first step."""
        if not self._rows:
            return
        columns = dict.fromkeys(["step", *(key for row in self._rows.values() for key in row)])
        with replacing(self.path) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows({"step": step} | row for step, row in self._rows.items())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def read_rows(path: Path) -> dict[int, dict[str, Any]]:
    """The rows of a `metrics.csv` by step. Raises UserError, naming the file, if it cannot be read."""
    try:
        with path.open(newline="") as file:
            return {int(row.pop("step")): row for row in csv.DictReader(file, strict=True)}
    except (KeyError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is damaged. Delete it to train on: the log alone begins anew.") from error
