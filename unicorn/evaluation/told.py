"""What an analysis finds, gathered as it goes: each number in the metrics and in a table of the report at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from unicorn.report.figures import Figure
from unicorn.report.html import DataTable
from unicorn.report.table import Cell


@dataclass(kw_only=True)
class Told:
    """What is found as it is found: numbers, tables, figures, what was sampled, what was left out and why.

    A number that is NaN is left out; its key is in `undefined`.
    """

    metrics: dict[str, float] = field(default_factory=dict[str, float])
    tables: list[DataTable] = field(default_factory=list[DataTable])
    figures: list[Figure] = field(default_factory=list[Figure])
    sampled: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])
    undefined: list[str] = field(default_factory=list[str])

    def numbers(self, title: str, values: Mapping[str, float]) -> None:
        """Numbers under their own keys, one below the other."""
        values = self._defined(values)
        self.metrics |= values
        cells: list[list[Cell]] = [[key.replace("_", " "), value] for key, value in values.items()]
        if cells:
            self.tables.append(DataTable(columns=(title, ""), rows=cells))

    def table(self, first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
        """A table of numbers, whose keys are `<column>/<row>`."""
        rows = {name: self._defined(numbers, f"/{name}") for name, numbers in rows.items()}
        if rows:
            columns = list(dict.fromkeys(column for numbers in rows.values() for column in numbers))
            cells: list[list[Cell]] = [[name, *(rows[name].get(column, "") for column in columns)] for name in rows]
            self.tables.append(
                DataTable(columns=(first, *(column.replace("_", " ") for column in columns)), rows=cells)
            )
        for name, numbers in rows.items():
            self.metrics |= {f"{column}/{name}": number for column, number in numbers.items()}

    def without(self) -> str:
        """What was left out and why, as a sentence with a blank before it; nothing if nothing was."""
        undefined = [f"not defined for these vectors: {', '.join(self.undefined)}"] if self.undefined else []
        reasons = [*self.left_out, *undefined]
        return f" Left out: {'; '.join(reasons)}." if reasons else ""

    def _defined(self, values: Mapping[str, float], suffix: str = "") -> dict[str, float]:
        """Those that are numbers; the others' whole keys are kept to be said."""
        self.undefined += [f"{key}{suffix}" for key, value in values.items() if math.isnan(value)]
        return {key: value for key, value in values.items() if not math.isnan(value)}
