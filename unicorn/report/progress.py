"""Progress of what takes its time: a bar on a terminal, a line in the log every half minute elsewhere."""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


class _Lines:
    """The log's lines."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._began = self._said = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            rate = self._done / (now - self._began)
            of = left = ""
            if self._total is not None and rate:
                of, left = f" of {self._total:,}", f", {(self._total - self._done) / rate:,.0f} s left"
            _log.info("%s", f"{self._label}: {self._done:,}{of}, {rate:,.0f}/s{left}")


def progress_bar() -> Progress:
    """A bar with rate and remaining time, on stderr; it leaves the terminal when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def progress(label: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Show how far the work is; call what is yielded with the number of items that were just finished."""
    bar = progress_bar()
    if bar.console.is_terminal:
        with bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        yield _Lines(label, total).advance


def track(batches: Iterable[list[Item]], label: str, total: int | None = None) -> Iterator[list[Item]]:
    """Pass batches on, and show how many of the `total` items have been dealt with."""
    with progress(label, total) as advance:
        for batch in batches:
            yield batch
            advance(len(batch))
