"""What a comparison of runs shows: on the terminal, and as JSON, Markdown, HTML and PNG."""

from collections.abc import Sequence
from dataclasses import asdict
from math import nan
from pathlib import Path
from statistics import fmean

import orjson
from rich.table import Table

from unicorn.evaluation.comparison import Comparison, Interval, Row, tells_test
from unicorn.files import replacing
from unicorn.report.figures import Bar, Figure, bar_chart
from unicorn.report.html import DataTable, Report, Section
from unicorn.report.table import Cell, markdown_table, numbers_table


def comparison_tables(comparison: Comparison) -> list[Table]:
    """One table for each test."""
    return [
        numbers_table(_title(comparison.metric, part), columns, rows)
        for part in comparison.parts
        for columns, rows in [_columns_and_rows(comparison.metric, part)]
    ]


def save_comparison(comparison: Comparison, folder: Path, name: str) -> Path:
    """Write `name` with .json, .md and .html into `folder`, and a figure for each test; returns the page's path."""
    with replacing(folder / f"{name}.json") as path:
        path.write_bytes(orjson.dumps(asdict(comparison), option=orjson.OPT_INDENT_2))
    with replacing(folder / f"{name}.md") as path:
        titled = [(_title(comparison.metric, part), part) for part in comparison.parts]
        tables = [
            f"## {title}\n{markdown_table(*_columns_and_rows(comparison.metric, part))}" for title, part in titled
        ]
        path.write_text("\n".join(tables))
    sections = [_section(comparison.metric, part, number) for number, part in enumerate(comparison.parts)]
    for old in folder.glob(f"{name}_*.png"):
        old.unlink()
    for figure in (figure for section in sections for figure in section.figures):
        with replacing(folder / f"{name}_{figure.name}.png") as path:
            path.write_bytes(figure.png)
    subtitle = (
        f"{folder}: {comparison.metric}. Means over seeds with Student's 95% interval; differences are taken seed by "
        "seed, from the first row of each table."
    )
    page = folder / f"{name}.html"
    Report(title="Runs compared", subtitle=subtitle, sections=sections).write(page)
    return page


def _title(metric: str, part: Sequence[Row]) -> str:
    asked = [f"{key}={value}" for key, value in part[0].settings.items() if value and tells_test(key, metric)]
    return " ".join([metric, *(["on", *asked] if asked else [])])


def _columns_and_rows(metric: str, part: Sequence[Row]) -> tuple[list[str], list[list[Cell]]]:
    """The settings that differ within the part, then the numbers; the first row is the others' reference."""
    keys = [
        key for key in part[0].settings if not tells_test(key, metric) and len({row.settings[key] for row in part}) > 1
    ]
    blind = ["blind"][: part[0].blind is not None]
    rows: list[list[Cell]] = []
    for row in part:
        cells: list[Cell] = [*(row.settings[key] or "-" for key in keys), len(row.by_seed), _mean(row.score)]
        rows.append([*cells, *([] if row.blind is None else [row.blind]), *_difference(row)])
    return [*keys, "seeds", metric, *blind, "difference", "ratio"], rows


def _mean(interval: Interval, form: str = ".3f") -> str:
    half = "" if interval.half is None else f" ± {interval.half:.3f}"
    return f"{interval.mean:{form}}{half}"


def _difference(row: Row) -> list[Cell]:
    if row.difference is None:
        return ["", ""]
    sign = "" if row.same_sign else ", not in each seed"
    return [f"{_mean(row.difference, '+.3f')}{sign}", "" if row.ratio is None else f"{row.ratio:.2f}"]


def _section(metric: str, part: Sequence[Row], number: int) -> Section:
    columns, rows = _columns_and_rows(metric, part)
    labels = [" ".join(str(cell) for cell in row[: columns.index("seeds")]) for row in rows]
    tables = [DataTable(columns=columns, rows=rows)]
    if part[0].types:
        types = [key.removeprefix("accuracy/") for key in part[0].types]
        by_type = [[fmean(row.types.get(f"accuracy/{name}", {"": nan}).values()) for name in types] for row in part]
        names = [name.replace("_", " ") for name in types]
        tables.append(
            DataTable(
                columns=("by type", *names),
                rows=[[label, *cells] for label, cells in zip(labels, by_type, strict=True)],
            )
        )
    figures = [_chart(part, labels, number)] if metric == "accuracy" else []
    return Section(title=_title(metric, part), figures=figures, tables=tables)


def _chart(part: Sequence[Row], labels: Sequence[str], number: int) -> Figure:
    bars = [
        Bar(
            label=label,
            value=row.score.mean,
            low=row.score.mean - (row.score.half or 0.0),
            high=row.score.mean + (row.score.half or 0.0),
            references={} if row.blind is None else {"blind": row.blind},
        )
        for label, row in zip(labels, part, strict=True)
    ]
    caption = "Mean over seeds with Student's 95% interval."
    return bar_chart(f"test_{number}", caption, bars, "accuracy")
