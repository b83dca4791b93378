"""Tables for the terminal: what a command shows when it is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rich import box
from rich.console import Console
from rich.table import Table

Cell = str | int | float | Path


def facts_table(title: str, facts: Mapping[str, Cell]) -> Table:
    """Two columns, name and value. Paths are never cut, so that they can be copied."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, cell_text(value))
    return table


def numbers_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """One line per row, the first column its name, numbers to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(cell_text(value) for value in row))
    return table


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The same table in Markdown."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([cell_text(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def flat_rows(values: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """Nested plain values as rows: `tune.rank`, `8`."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += flat_rows(cast("Mapping[str, Any]", value), f"{path}{key}.")
        else:
            rows.append((f"{path}{key}", str(value)))
    return rows


def show(*tables: Table) -> None:
    """Print tables to the terminal; into a file or a pipe up to 200 columns wide, so that nothing is cut."""
    console = Console()
    if not console.is_terminal:
        console.width = 200
    for table in tables:
        console.print(table)


def cell_text(value: Cell) -> str:
    """A value as people read it: 12,345 and 0.598."""
    match value:
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.3f}"
        case _:
            return str(value)
