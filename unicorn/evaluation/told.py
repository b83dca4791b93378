"""What an analysis finds, gathered as it goes: each number in the metrics and in a table of the report at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unicorn.report.figures import Figure
from unicorn.report.html import DataTable
from unicorn.report.table import Cell


@dataclass(kw_only=True)
class Told:
    """What is found as it is found: numbers, tables, figures, what was sampled, and what was left out and why."""

    metrics: dict[str, float] = field(default_factory=dict[str, float])
    tables: list[DataTable] = field(default_factory=list[DataTable])
    figures: list[Figure] = field(default_factory=list[Figure])
    sampled: list[str] = field(default_factory=list[str])
    left_out: list[str] = field(default_factory=list[str])

    def numbers(self, title: str, values: Mapping[str, float]) -> None:
        """Numbers under their own keys, one below the other."""
        self.metrics |= values
        cells: list[list[Cell]] = [[key.replace("_", " "), value] for key, value in values.items()]
        self.tables.append(DataTable(columns=(title, ""), rows=cells))

    def table(self, first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
        """A table of numbers, whose keys are `<column>/<row>`."""
        if rows:
            columns = list(dict.fromkeys(column for numbers in rows.values() for column in numbers))
            cells: list[list[Cell]] = [[name, *(rows[name].get(column, "") for column in columns)] for name in rows]
            self.tables.append(
                DataTable(columns=(first, *(column.replace("_", " ") for column in columns)), rows=cells)
            )
        for name, numbers in rows.items():
            self.metrics |= {f"{column}/{name}": number for column, number in numbers.items()}
