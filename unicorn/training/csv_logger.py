"""`metrics.csv`, tables and figures beside it: rows of logged steps, which go on where a resumed run goes on."""

import csv
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.report.figures import Figure

Row = dict[str, Any]
METRICS = "metrics"
SECONDS_BETWEEN_WRITES = 30.0


class CsvLogger(Logger):
    """Rows stay in memory and files are replaced whole; Lightning's own deletes its file when a run resumes."""

    def __init__(self, folder: Path) -> None:
        """Files lie in `folder`."""
        super().__init__()
        self._folder = folder
        self._tables = {path.stem: read_table(path) for path in folder.glob("*.csv")}
        self._begun = False
        self._written = time.monotonic()

    @property
    def name(self) -> str:
        """Its folder's."""
        return self._folder.name

    @property
    def version(self) -> int:
        """There is one."""
        return 0

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add to a step's row, and have it in the file within half a minute."""
        (row,) = self._rows(METRICS, step or 0) or [Row()]
        self._tables[METRICS][step or 0] = [row | metrics]
        if time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES:
            self.save()

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], *, step: int) -> None:
        """Add a step's rows to `key.csv`."""
        self._rows(key, step)
        self._tables[key][step] = [dict(zip(columns, row, strict=True)) for row in data]

    @rank_zero_only
    def log_figure(self, figure: Figure, *, step: int) -> None:
        """Write `figures/NAME.png`; that of the last step stays."""
        with replacing(self._folder / "figures" / f"{figure.name}.png") as path:
            path.write_bytes(figure.png)

    def _rows(self, table: str, step: int) -> list[Row]:
        """A step's; what an interrupted run wrote of the first step that is logged and of later ones is dropped."""
        if not self._begun:
            self._begun = True
            for name, rows in self._tables.items():
                self._tables[name] = {before: row for before, row in rows.items() if before < step}
        return self._tables.setdefault(table, {}).get(step, [])

    @rank_zero_only
    def save(self) -> None:
        """Replace the files, once there is something to write: a resumed run saves before its first step."""
        self._written = time.monotonic()
        if not self._begun:
            return
        for name, table in self._tables.items():
            rows = [{"step": step} | row for step, rows in table.items() for row in rows]
            columns = dict.fromkeys(key for row in rows for key in row)
            with replacing(self._folder / f"{name}.csv") as path, path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(columns))
                writer.writeheader()
                writer.writerows(rows)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def read_table(path: Path) -> dict[int, list[Row]]:
    """The rows of a file by step. Raises UserError, naming the file, if it cannot be read."""
    try:
        with path.open(newline="") as file:
            table: dict[int, list[Row]] = {}
            for row in csv.DictReader(file, strict=True):
                table.setdefault(int(row.pop("step")), []).append(row)
            return table
    except (KeyError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is damaged. Delete it to train on: the log alone begins anew.") from error
