"""The seam between the stages that ask a generator and the rounds in which they ask; what a stage reports."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rich.table import Table

from unicorn.llm import Request, Result
from unicorn.report.table import Cell, numbers_table
from unicorn.synthesis.usage import Usage


class Identified(Protocol):
    """Whatever has an id."""

    @property
    def id(self) -> str:
        """Stable under re-runs."""
        ...


Item = TypeVar("Item", bound=Identified, contravariant=True)
Record = TypeVar("Record", covariant=True)


class Stage(Protocol[Item, Record]):
    """What one stage asks about an item, and how it reads the answer."""

    @property
    def name(self) -> str:
        """The stage, as rejects name it."""
        ...

    def request(self, item: Item, seed: int) -> Request:
        """The request, under the item's id."""
        ...

    def read(self, item: Item, result: Result) -> Record:
        """The record that the answer makes. Raises Unusable."""
        ...


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """Counts over the whole part of the dataset; `seconds` and `unusable` are of this run alone.

    `rejected` counts the items that were given up, by reason; `unusable` the answers that were turned away,
    most of which a later attempt made good.
    """

    stage: str
    written: int
    rejected: dict[str, int]
    unusable: Counter[str] = field(default_factory=Counter[str])
    seconds: float
    usage: Usage | None = None
    """Of a generator; None where the stage asks none."""


def report_table(reports: Sequence[StageReport]) -> Table:
    """A line a stage, and below it a line a reason for which answers were turned away or items given up.

    Tokens and cost are shown where somebody counts them.
    """
    rows: list[list[Cell]] = []
    for report in reports:
        turned_away, given_up = report.unusable.total(), sum(report.rejected.values())
        rows.append([report.stage, report.written, given_up, turned_away, f"{report.seconds:.1f}", *_taken(report)])
        for reason in sorted(report.unusable.keys() | report.rejected.keys()):
            rows.append([f"  {reason}", "", report.rejected.get(reason, 0), report.unusable[reason], "", "", ""])
    columns = ("", "written", "given up", "answers turned away", "seconds", "tokens", "cost")
    shown = [number for number, _ in enumerate(columns) if number < 5 or any(row[number] for row in rows)]
    return numbers_table("Synthesis", [columns[n] for n in shown], [[row[n] for n in shown] for row in rows])


def _taken(report: StageReport) -> tuple[Cell, Cell]:
    usage = report.usage
    tokens = usage.prompt_tokens + usage.completion_tokens if usage else 0
    return tokens or "", f"${usage.cost:,.2f}" if usage and usage.cost is not None else ""
