"""A report in one HTML file: numbers, tables, figures and samples, with nothing to be fetched."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from unicorn.files import replacing
from unicorn.report.figures import Figure
from unicorn.report.table import Cell, cell_text, flat_rows


@dataclass(frozen=True, kw_only=True)
class Highlight:
    """One number to be seen first, in words that stand alone."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture (PNG) and what was asked about it, answered and true."""

    picture: bytes
    kind: str
    question: str
    answer: str
    truth: str
    correct: bool


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """A table; its first column names the rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    prose: bool = False
    """Whether its cells are texts to be read, not numbers."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report. Whatever is empty is not shown."""

    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[DataTable] = ()
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that one page shows."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    highlights: Sequence[Highlight] = ()

    def write(self, path: Path) -> None:
        """Write the page to `path`. Raises UserError if it cannot be written."""
        environment = Environment(
            loader=PackageLoader("unicorn.report", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
        )
        environment.filters["data"] = _data_uri
        environment.filters["cell"] = cell_text
        page = environment.get_template("report.html.jinja").render(report=self)
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


def settings_section(settings: Mapping[str, Any]) -> Section:
    """A configuration, given as nested plain values, a line for each."""
    return Section(title="Settings", tables=[DataTable(columns=("key", "value"), rows=flat_rows(settings))])


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
