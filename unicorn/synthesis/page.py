"""What the report shows of a dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

from unicorn.dataset import Part
from unicorn.dataset.manifest import Manifest
from unicorn.records import Role, Task
from unicorn.report.figures import histogram, shares
from unicorn.report.html import DataTable, Highlight, Report, Section, settings_section
from unicorn.report.table import Cell
from unicorn.synthesis.deduplication import SHINGLE
from unicorn.synthesis.measures import ALIKE, CaptionMeasures, InstructionMeasures
from unicorn.synthesis.parsing import LETTERS
from unicorn.synthesis.usage import Usage

PAPER: Mapping[str, Cell] = {
    "captions": 1_243_195,
    "captions/words/min": 51,
    "captions/words/mean": 129,
    "captions/words/max": 483,
    "captions/type_token_ratio": 0.68,
    "captions/token_entropy": 6.07,
    "instructions": 471_000,
    "instructions/task/multiple_choice": 171_000,
    "instructions/task/question_answering": 199_000,
    "instructions/task/complex_reasoning": 100_000,
}
TAKEN = "Answers and tokens are all that were paid for, good or bad; seconds are those of the last run that asked."
NAMES = {
    "captions": "captions",
    "captions/words/min": "words of the shortest",
    "captions/words/mean": "words on average",
    "captions/words/median": "words of the median",
    "captions/words/max": "words of the longest",
    "captions/type_token_ratio": "type-token ratio",
    "captions/token_entropy": "token entropy, bits",
    "captions/exact_duplicates": "exact duplicates",
    "captions/sampled": "captions in the sample",
    "captions/near_duplicates": "near duplicates in the sample",
    "instructions": "instructions",
    "instructions/task/multiple_choice": "multiple choice",
    "instructions/task/question_answering": "question answering",
    "instructions/task/complex_reasoning": "complex reasoning",
    "instructions/questions": "questions",
    "instructions/questions/mean": "questions of an instruction",
    "instructions/answer_words/mean": "words of an answer",
}


def dataset_report(
    manifest: Manifest,
    metrics: Mapping[str, float],
    captions: CaptionMeasures,
    instructions: InstructionMeasures,
    turned_away: Sequence[tuple[Part, str, int]],
    usage: Sequence[Usage],
) -> Report:
    """One page over a dataset's texts: what they are like, what was turned away, what they took, and some of them."""
    return Report(
        title="What the model will learn from",
        subtitle="A dataset made of text alone.",
        highlights=_highlights(metrics),
        sections=[
            _captions(captions, metrics),
            *([_instructions(metrics)] if metrics["instructions"] else []),
            *([_rejects(turned_away)] if turned_away else []),
            *([_usage(usage)] if usage else []),
            _samples(captions, instructions),
            settings_section({part: entry.made_by for part, entry in sorted(manifest.parts.items())}),
        ],
    )


def _highlights(metrics: Mapping[str, float]) -> list[Highlight]:
    shown = [Highlight(label="Captions", value=f"{metrics['captions']:,.0f}")]
    if (mean := metrics.get("captions/words/mean")) is not None:
        low, high = metrics["captions/words/min"], metrics["captions/words/max"]
        shown.append(Highlight(label="Words of a caption", value=f"{mean:.0f}", detail=f"{low:,.0f} to {high:,.0f}"))
    if count := metrics["instructions"]:
        detail = f"{metrics['instructions/questions']:,.0f} questions"
        shown.append(Highlight(label="Instructions", value=f"{count:,.0f}", detail=detail))
    if near := metrics["captions/sampled"]:
        share = metrics["captions/near_duplicates"] / near
        shown.append(Highlight(label="Near duplicates", value=f"{share:.1%}", detail=f"of {near:,.0f} captions"))
    costs = {key: cost for key, cost in metrics.items() if key.startswith("usage/") and key.endswith("/cost")}
    if costs:
        shown.append(Highlight(label="Cost", value=f"${sum(costs.values()):,.2f}", detail="of tokens"))
    shown.append(Highlight(label="Given up", value=f"{metrics['rejected']:,.0f}", detail="seeds, captions or records"))
    return shown


def _beside_the_paper(metrics: Mapping[str, float], room: Part) -> DataTable:
    rows: list[list[Cell]] = [
        [label, metrics[key], PAPER.get(key, "")]
        for key, label in NAMES.items()
        if key in metrics and key.startswith(room)
    ]
    return DataTable(columns=("", "here", "in the paper"), rows=rows)


def _captions(captions: CaptionMeasures, metrics: Mapping[str, float]) -> Section:
    words = captions.words
    return Section(
        title="Captions",
        text=(
            "Words are set apart by white space. For each sampled caption, in small letters and without punctuation: "
            "the type-token ratio is its distinct words by all its words, the entropy that of its words' frequencies; "
            "both are averaged over captions. (Over all captions together the ratio would fall with their number.) "
            f"Near duplicates share {ALIKE:.0%} of their runs of {SHINGLE} words with an earlier caption of the "
            "sample, as MinHash estimates it; exact copies are counted apart, over all captions. The sample is drawn "
            "by id; where it is not all of them, a caption may have a near duplicate outside of it."
        ),
        figures=[histogram("words", "Words of a caption.", {"captions": words}, across="words")] if len(words) else [],
        tables=[_beside_the_paper(metrics, Part.CAPTIONS), *_counts(metrics, "captions/domain/", "domain", "captions")],
    )


def _instructions(metrics: Mapping[str, float]) -> Section:
    figures = [
        shares(name, said, counts)
        for name, said, prefix in (
            ("tasks", "Instructions by task.", "instructions/task/"),
            (
                "questions",
                "Questions by their first word; a verb asks for yes or no.",
                "instructions/asks/",
            ),
            ("letters", "Answers of multiple choice by their letter.", "instructions/letter/"),
        )
        if sum((counts := _under(metrics, prefix)).values())
    ]
    return Section(
        title="Instructions",
        text=f"Letters {', '.join(LETTERS)} should come equally often: a model must not learn to prefer one.",
        figures=figures,
        tables=[
            _beside_the_paper(metrics, Part.INSTRUCTIONS),
            *_counts(metrics, "instructions/asks/", "question word", "questions"),
        ],
    )


def _under(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {
        key.removeprefix(prefix).replace("_", " "): count for key, count in metrics.items() if key.startswith(prefix)
    }


def _counts(metrics: Mapping[str, float], prefix: str, what: str, of: str) -> list[DataTable]:
    """A table of counts and shares, if there is more than one thing to count."""
    counts = _under(metrics, prefix)
    if len(counts) < 2:
        return []
    whole = sum(counts.values())
    rows: list[list[Cell]] = [[key, count, f"{count / whole:.1%}"] for key, count in counts.items()]
    return [DataTable(columns=(what, of, "share"), rows=rows)]


def _rejects(turned_away: Sequence[tuple[Part, str, int]]) -> Section:
    return Section(
        title="Given up",
        text="What no attempt made good, over all runs; each is told in rejects/, with its last answer.",
        tables=[DataTable(columns=("part", "reason", "items"), rows=[[*each] for each in turned_away])],
    )


def _usage(usage: Sequence[Usage]) -> Section:
    rows: list[list[Cell]] = [
        [
            each.stage,
            each.answers,
            each.prompt_tokens,
            each.completion_tokens,
            "" if each.cost is None else f"${each.cost:,.2f}",
            f"{each.seconds:,.1f}",
        ]
        for each in usage
    ]
    columns = ("stage, over all runs", "answers", "tokens read", "tokens written", "cost", "seconds")
    return Section(title="What it took", text=TAKEN, tables=[DataTable(columns=columns, rows=rows)])


def _samples(captions: CaptionMeasures, instructions: InstructionMeasures) -> Section:
    told = DataTable(
        columns=("id", "caption"), rows=[[row["id"], row["text"]] for row in captions.shown.rows], prose=True
    )
    asked = DataTable(
        columns=("task", "conversation"),
        rows=[
            [task.replace("_", " "), _conversation(row["messages"])]
            for task in Task
            for row in instructions.shown[task].rows
        ],
        prose=True,
    )
    return Section(title="Some of them", text="Drawn by id.", tables=[told, *([asked] if asked.rows else [])])


def _conversation(messages: Sequence[Mapping[str, Any]]) -> str:
    """Each question with its answer behind an arrow, an empty line between two of them."""
    turns = [("" if message["role"] == Role.USER else "→ ") + message["content"] for message in messages]
    return "\n\n".join("\n".join(turns[start : start + 2]) for start in range(0, len(turns), 2))
