"""What the report shows of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.table import Table

from unicorn.evaluation.pictures import EncodedPictures
from unicorn.evaluation.rejected import rejected_section
from unicorn.evaluation.task import Example, Findings
from unicorn.pictures import Rejection
from unicorn.report.figures import Bar, bar_chart
from unicorn.report.html import DataTable, Highlight, Report, Sample, Section, settings_section
from unicorn.report.table import facts_table, numbers_table

BASELINES = ("majority", "zero", "shuffled")


def evaluation_report(
    run: Path | None, findings: Sequence[Findings], rejections: Sequence[Rejection], settings: Mapping[str, Any]
) -> Report:
    """One page over all tasks; `settings` is the configuration as nested plain values."""
    asked = "What the model sees", f"{run}: a model trained on text alone, asked about images it has never seen."
    title, subtitle = asked if run else ("Embeddings, studied", "No model was asked.")
    return Report(
        title=title,
        subtitle=subtitle,
        highlights=[highlight for found in findings for highlight in found.highlights],
        sections=[
            *(section for found in findings for section in found.sections),
            *([rejected_section(rejections)] if rejections else []),
            settings_section(settings),
        ],
    )


def closing_tables(metrics: Mapping[str, float], places: Mapping[str, Path]) -> list[Table]:
    """For the terminal: accuracy by type beside its baselines, or else all numbers, and where everything lies."""
    suffixes = [key.removeprefix("accuracy") for key in metrics if key == "accuracy" or key.startswith("accuracy/")]
    shown = ("accuracy", "accuracy_low", "accuracy_high", "baseline/blind", "baseline/shuffled")
    rows = [
        [_readable(suffix.lstrip("/")) or "all types", *(metrics[f"{key}{suffix}"] for key in shown)]
        for suffix in suffixes
    ]
    columns = ("type", "accuracy", "95% from", "to", "blind", "shuffled")
    found = numbers_table("Accuracy", columns, rows) if rows else facts_table("Found", metrics)
    return [found, facts_table("Where it lies", places)]


def highlights(metrics: Mapping[str, float]) -> list[Highlight]:
    """The headline numbers of a benchmark."""
    interval = f"95%: {metrics['accuracy_low']:.3f} to {metrics['accuracy_high']:.3f}"
    return [
        Highlight(label="Accuracy", value=f"{metrics['accuracy']:.3f}", detail=interval),
        Highlight(label="Blind", value=f"{metrics['baseline/blind']:.3f}", detail="without the picture"),
        Highlight(label="Shuffled", value=f"{metrics['baseline/shuffled']:.3f}", detail="about another picture"),
        Highlight(
            label="Questions",
            value=f"{metrics['questions']:,.0f}",
            detail=f"about {metrics['pictures']:,.0f} pictures",
        ),
    ]


def accuracy_section(name: str, metrics: Mapping[str, float]) -> Section:
    """Accuracy by question type beside the baselines, drawn and in numbers."""
    types = [key.removeprefix("accuracy/") for key in metrics if key.startswith("accuracy/")]
    ranked = sorted(types, key=lambda kind: -metrics[f"accuracy/{kind}"])
    suffixes = {"all types": ""} | {_readable(kind): f"/{kind}" for kind in ranked}
    bars = [
        Bar(
            label=label,
            value=metrics[f"accuracy{suffix}"],
            low=metrics[f"accuracy_low{suffix}"],
            high=metrics[f"accuracy_high{suffix}"],
            references={who: metrics[f"baseline/{who}{suffix}"] for who in ("blind", "shuffled")},
        )
        for label, suffix in suffixes.items()
    ]
    baselines = [[metrics[f"baseline/{who}{suffix}"] for who in BASELINES] for suffix in suffixes.values()]
    return Section(
        title=f"Accuracy by question type: {_readable(name)}",
        text=(
            "“All types” is the mean over the types. Blind is the better of two: the usual answer to each "
            "question template, and the model's answers about a vector of zeros. Shuffled are its answers "
            "about another picture."
        ),
        figures=[bar_chart(f"{name}_accuracy", "Accuracy with its 95% interval, and the baselines.", bars, "accuracy")],
        tables=[
            DataTable(
                columns=("type", "accuracy", "95% from", "to", "majority", "zeros", "shuffled"),
                rows=[
                    [bar.label, bar.value, bar.low, bar.high, *values]
                    for bar, values in zip(bars, baselines, strict=True)
                ],
            )
        ],
    )


def samples_section(shown: Sequence[Example], pictures: EncodedPictures, predictions: pa.Table) -> Section:
    """Pictures with a question each, the model's answer and the truth."""
    columns = predictions.select(["id", "prediction", "correct"]).to_pydict()
    answered = {
        key: (answer, correct)
        for key, answer, correct in zip(columns["id"], columns["prediction"], columns["correct"], strict=True)
    }
    return Section(
        title="Sample pictures",
        text="Drawn at random from the questions of each type, before any was answered.",
        samples=[
            Sample(
                picture=pictures.thumbnails[example.picture],
                kind=_readable(example.type),
                question=example.prompt,
                answer=answered[example.id][0],
                truth=example.reference,
                correct=answered[example.id][1],
            )
            for example in shown
        ],
    )


def _readable(name: str) -> str:
    return name.replace("_", " ")
