"""The report of a dataset: `report/` in its folder, with its numbers, its figures and one page."""

import re
from collections.abc import Sequence
from pathlib import Path

from unicorn.dataset import Part
from unicorn.dataset.card import REPORT, describe, save_card
from unicorn.dataset.texts import Texts
from unicorn.files import replacing
from unicorn.report.metrics import write_metrics
from unicorn.report.progress import progress
from unicorn.synthesis.measures import CaptionMeasures, InstructionMeasures
from unicorn.synthesis.page import dataset_report, rejected
from unicorn.synthesis.usage import Usage

_SPACE = re.compile(r"\W+")


def write_report(dataset: Path, usage: Sequence[Usage] = ()) -> Path:
    """Measure a dataset's texts, write `report/` and the card; returns the page.

    It holds one group of rows and a few numbers a caption, however many captions there are. Raises UserError if the
    captions are unfinished, or, naming the file, if one is not as it was written.
    """
    texts = Texts.open(dataset)
    captions = CaptionMeasures(texts.count(Part.CAPTIONS) or 0)
    instructions = InstructionMeasures(texts.count(Part.INSTRUCTIONS) or 0)
    with progress("report", captions.count + instructions.count) as advance:
        for batch in texts.batches(Part.CAPTIONS, ("id", "text", "domain")):
            captions.add(batch)
            advance(len(batch))
        for batch in texts.batches(Part.INSTRUCTIONS, ("id", "task", "messages")) if instructions.count else ():
            instructions.add(batch)
            advance(len(batch))
    turned_away = rejected(texts.manifest)
    metrics = captions.metrics() | instructions.metrics()
    metrics["rejected"] = sum(count for *_, count in turned_away)
    metrics |= {f"rejected/{part}/{_SPACE.sub('_', reason)}": count for part, reason, count in turned_away}
    metrics |= _taken(usage)
    folder = dataset / REPORT
    report = dataset_report(texts.manifest, metrics, captions, instructions, usage)
    for figure in (figure for section in report.sections for figure in section.figures):
        with replacing(folder / "figures" / f"{figure.name}.png") as path:
            path.write_bytes(figure.png)
    report.write(folder / "report.html")
    write_metrics(folder, metrics)
    save_card(dataset, texts.manifest, describe(texts))
    return folder / "report.html"


def _taken(usage: Sequence[Usage]) -> dict[str, float]:
    """What each stage took, flat."""
    numbers: dict[str, float] = {}
    for each in usage:
        numbers |= {
            f"usage/{each.stage}/answers": each.answers,
            f"usage/{each.stage}/prompt_tokens": each.prompt_tokens,
            f"usage/{each.stage}/completion_tokens": each.completion_tokens,
            f"usage/{each.stage}/seconds": each.seconds,
        }
        if each.cost is not None:
            numbers[f"usage/{each.stage}/cost"] = each.cost
    return numbers
