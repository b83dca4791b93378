"""The report in one file, metrics.json, tables."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from unicorn.errors import UserError
from unicorn.report.figures import Bar, bar_chart, scatter
from unicorn.report.html import DataTable, Highlight, Report, Sample, Section
from unicorn.report.metrics import read_metrics, write_metrics
from unicorn.report.table import facts_table, numbers_table

FIGURE = bar_chart(
    "accuracy",
    "By type.",
    [Bar(label="colour", value=0.8, low=0.7, high=0.9, references={"blind": 0.2})],
    "accuracy",
)


def test_the_report_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert "http" not in page
    assert "//" not in re.sub(r"data:image/png;base64,[\w+/=]+", "", page)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<script" not in page
    assert "url(" not in page
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_report_shows_numbers_samples_and_settings(tmp_path: Path) -> None:
    page = _page(tmp_path)
    for shown in ("0.812", "what color?", "truth: red", "✗ blue", "✓ ring", "0.123", "by hand"):
        assert shown in page


def test_what_a_model_says_is_text_and_never_markup(tmp_path: Path) -> None:
    page = _page(tmp_path, answer="<script>alert(1)</script>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_figures_are_png_and_the_same_each_time() -> None:
    points = {"text": np.zeros((3, 2)), "real": np.ones((4, 2))}
    first, second = (scatter("plane", "Points.", points) for _ in range(2))
    assert first.png == second.png
    assert Image.open(io.BytesIO(first.png)).format == "PNG"
    assert Image.open(io.BytesIO(FIGURE.png)).size[0] > 600


def test_metrics_come_back_in_their_order(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.5, "accuracy/colour": 0.25, "questions": 8.0}
    write_metrics(tmp_path / "new", metrics)
    assert list(read_metrics(tmp_path / "new").items()) == list(metrics.items())


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="accuracy/colour"):
        write_metrics(tmp_path, {"accuracy": 1.0, "accuracy/colour": float("nan")})
    assert not list(tmp_path.iterdir())


def test_missing_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=re.escape(f"no metrics.json in {tmp_path}. Run the command that makes it first")
    ):
        read_metrics(tmp_path)


def test_a_closing_table_never_cuts_a_path() -> None:
    path = Path("/a/rather/long/way") / ("x" * 80) / "report.html"
    text = _printed(facts_table("Done", {"report": path, "questions": 12345}))
    assert str(path) in "".join(line.strip() for line in text.splitlines())
    assert "12,345" in text
    assert "0.600" in _printed(numbers_table("Accuracy", ("type", "accuracy"), [("colour", 0.6)]))


def _printed(table: object) -> str:
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def _page(folder: Path, answer: str = "blue") -> str:
    def sample(answer: str, truth: str) -> Sample:
        return Sample(
            picture=FIGURE.png,
            kind="colour",
            question="what color?",
            answer=answer,
            truth=truth,
            correct=answer == truth,
        )

    sections = [
        Section(
            title="Accuracy",
            figures=[FIGURE],
            tables=[DataTable(columns=("a", "b", "c"), rows=[("x", 0.1234, 1)])],
        ),
        Section(title="Samples", text="A few.", samples=[sample(answer, "red"), sample("ring", "ring")]),
        Section(title="Settings", tables=[DataTable(columns=("key", "value"), rows=[("made", "by hand")])]),
    ]
    report = Report(
        title="Report",
        subtitle="of a run",
        sections=sections,
        highlights=[Highlight(label="Accuracy", value="0.812")],
    )
    report.write(folder / "report.html")
    return (folder / "report.html").read_text()
