"""What the report shows of a training: losses, what the model says, speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from unicorn.report.figures import Figure, curves
from unicorn.report.html import DataTable, Highlight, Report, Section, settings_section
from unicorn.training.csv_logger import METRICS, Row, read_table
from unicorn.training.validation import COLUMNS, GENERATIONS, RETRIEVAL_CAPTION

LOSSES = {"loss": "training", "validation/loss": "held out", "validation/loss_shuffled": "held out, images of others"}
SPEEDS = {
    "tokens_per_second": "tokens a second",
    "samples_per_second": "samples a second",
    "mfu": "share of the device's peak (MFU)",
    "data_wait": "share of the time spent waiting for data",
    "padding": "share of slots that hold padding",
    "memory_gb": "peak memory, GB",
}


def training_report(
    run: Path, stages: Sequence[str], metrics: Mapping[str, float], settings: Mapping[str, Any]
) -> Report:
    """One page over the stages of a run; `settings` is the configuration as nested plain values."""
    logged = [stage for stage in stages if (run / stage / f"{METRICS}.csv").exists()]  # one without an epoch is not
    return Report(
        title="What the model learned",
        subtitle=f"{run}: trained on text alone.",
        highlights=[highlight for stage in logged for highlight in _highlights(stage, metrics)],
        sections=[*(_section(run / stage, stage) for stage in logged), settings_section(settings)],
    )


def _highlights(stage: str, metrics: Mapping[str, float]) -> list[Highlight]:
    loss, others, found = (metrics.get(f"{stage}/validation/{key}") for key in ("loss", "loss_shuffled", "retrieval"))
    shown: list[Highlight] = []
    if loss is not None and others is not None:
        detail = f"{others:.3f} with the images of others"
        shown.append(Highlight(label=f"Held-out loss, {stage}", value=f"{loss:.3f}", detail=detail))
    if found is not None:
        detail = "of images find their own text"
        shown.append(Highlight(label=f"Retrieval, {stage}", value=f"{found:.0%}", detail=detail))
    return shown


def _section(folder: Path, stage: str) -> Section:
    """A stage's losses by step, its retrieval, its last generations, and how fast it was."""
    rows = {step: row for step, (row,) in read_table(folder / f"{METRICS}.csv").items()}
    losses = {label: numbers for key, label in LOSSES.items() if (numbers := _column(rows, key))}
    figures = [curves(f"{stage}_loss", "Mean cross-entropy of a token.", losses, across="step", up="loss")]
    retrieval = folder / "figures" / "retrieval.png"
    if retrieval.exists():
        figures.append(Figure(name=f"{stage}_retrieval", caption=RETRIEVAL_CAPTION, png=retrieval.read_bytes()))
    speeds = [[label, median(numbers.values())] for key, label in SPEEDS.items() if (numbers := _column(rows, key))]
    tables = [DataTable(columns=("of a step, median", ""), rows=speeds)]
    if (said := folder / f"{GENERATIONS}.csv").exists():
        last = list(read_table(said).values())[-1]
        tables.append(
            DataTable(columns=COLUMNS, rows=[[row[column] for column in COLUMNS] for row in last], prose=True)
        )
    return Section(title=stage.capitalize(), figures=figures, tables=tables)


def _column(rows: Mapping[int, Row], key: str) -> dict[int, float]:
    """The numbers of a column that are there, by step."""
    return {step: float(row[key]) for step, row in rows.items() if row.get(key)}
