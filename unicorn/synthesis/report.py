"""The report of a dataset: `report/` in its folder, with its numbers, its figures and one page."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from unicorn.dataset import Part
from unicorn.dataset.card import REPORT, describe, save_card
from unicorn.dataset.spill import imported_rejects
from unicorn.dataset.texts import Texts
from unicorn.files import replacing
from unicorn.report.metrics import METRICS, read_metrics, write_metrics
from unicorn.report.progress import progress
from unicorn.synthesis.measures import CaptionMeasures, InstructionMeasures
from unicorn.synthesis.page import dataset_report
from unicorn.synthesis.usage import Usage

_SPACE = re.compile(r"\W+")


def write_report(dataset: Path, usage: Sequence[Usage] = ()) -> Path:
    """Measure a dataset's texts, write `report/` and the card; returns the page.

    It holds one group of rows and a few numbers a caption, however many captions there are. Raises UserError if the
    captions are unfinished, or, naming the file, if one is not as it was written.

    `usage` is of the stages that were run. What others took, and the seconds of those that asked nothing anew, are
    those of the report before: so nothing changes where nothing was done.
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
    turned_away = _turned_away(texts)
    metrics = captions.metrics() | instructions.metrics()
    metrics["rejected"] = sum(count for *_, count in turned_away)
    metrics |= {f"rejected/{part}/{_SPACE.sub('_', reason)}": count for part, reason, count in turned_away}
    folder = dataset / REPORT
    usage = _over_all_runs(usage, read_metrics(folder) if (folder / METRICS).exists() else {})
    metrics |= _taken(usage)
    report = dataset_report(texts.manifest, metrics, captions, instructions, turned_away, usage)
    for figure in (figure for section in report.sections for figure in section.figures):
        with replacing(folder / "figures" / f"{figure.name}.png") as path:
            path.write_bytes(figure.png)
    report.write(folder / "report.html")
    write_metrics(folder, metrics)
    save_card(dataset, texts.manifest, describe(texts))
    return folder / "report.html"


def _turned_away(texts: Texts) -> list[tuple[Part, str, int]]:
    """How many items of each part were given up, or could not be imported, by reason."""
    found: list[tuple[Part, str, int]] = []
    for part in (part for part in Part if part in texts.manifest.parts):
        counts = Counter[str]()
        for shard in texts.manifest.parts[part].shards.values():
            counts.update(shard.rejected)
        path = texts.path / "rejects" / imported_rejects(part)
        if path.exists():
            with path.open("rb") as file:
                counts.update(orjson.loads(line)["reason"] for line in file)
        found += [(part, reason, count) for reason, count in counts.items()]
    return found


def _over_all_runs(usage: Sequence[Usage], before: Mapping[str, float]) -> list[Usage]:
    """What each stage took, by the report before where this run did not ask."""
    taken = {
        stage: Usage(
            stage=stage,
            answers=int(before[f"usage/{stage}/answers"]),
            prompt_tokens=int(before[f"usage/{stage}/prompt_tokens"]),
            completion_tokens=int(before[f"usage/{stage}/completion_tokens"]),
            cost=before.get(f"usage/{stage}/cost"),
            seconds=before[f"usage/{stage}/seconds"],
        )
        for stage in Part
        if f"usage/{stage}/answers" in before
    }
    for each in usage:
        earlier = taken.get(Part(each.stage))
        idle = earlier is not None and earlier.answers == each.answers
        taken[Part(each.stage)] = replace(each, seconds=earlier.seconds) if earlier and idle else each
    return [taken[stage] for stage in Part if stage in taken]


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
