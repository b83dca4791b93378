"""Progress of what takes its time: a bar on a terminal, a line in the log every half minute elsewhere."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
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
Note = Callable[[], str]

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30.0
_RATE_OVER_LINES = 4  # lines back to which the rate reaches: what a resumed run finds done soon counts no more


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed) if task.speed else "", style="dim")


class _Noted(ProgressColumn):
    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def render(self, task: Task) -> Text:
        return Text(self._note(), style="dim", no_wrap=True, overflow="ellipsis")


class Lines:
    """What the log says of work that goes on: `line` is the next of them."""

    def __init__(self, label: str, total: int | None = None, note: Note = str) -> None:
        self._label = label
        self._total = total
        self._note = note
        self._done = 0
        self._marks = deque([(time.monotonic(), 0)], maxlen=_RATE_OVER_LINES)

    def advance(self, count: int) -> None:
        """So many more items are finished."""
        self._done += count

    def line(self) -> str:
        """How many items are finished, of how many, how fast, how long the rest takes, and the note."""
        now = time.monotonic()
        since, before = self._marks[0]
        rate = (self._done - before) / max(now - since, 1e-9)
        self._marks.append((now, self._done))
        of = left = ""
        if self._total is not None:
            of = f" of {self._total:,}"
            if rate:
                left = f", {timedelta(seconds=round((self._total - self._done) / rate))} left"
        note = self._note()
        return f"{self._label}: {self._done:,}{of}, {_rate(rate)}{left}{note and f'; {note}'}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"


def progress_bar(note: Note = str) -> Progress:
    """A bar with rate, remaining time and a note, on stderr; it leaves the terminal when it is done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        _Noted(note),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def progress(label: str, total: int | None = None, note: Note = str) -> Generator[Callable[[int], None]]:
    """Show how far the work is; call what is yielded with the number of items that were just finished.

    `note` says what else there is to be seen (cost, rejects, health), in a few words. It is asked from another thread,
    at every drawing of the bar or once a line; lines come while nothing is finished, too.
    """
    bar = progress_bar(note)
    if bar.console.is_terminal:
        with bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        lines = Lines(label, total, note)
        with _every(_SECONDS_BETWEEN_LINES, lambda: _log.info("%s", lines.line())):
            yield lines.advance


@contextmanager
def _every(seconds: float, say: Callable[[], None]) -> Generator[None]:
    """Say something every so many seconds while the block runs."""
    over = Event()

    def say_until_over() -> None:
        while not over.wait(seconds):
            say()

    thread = Thread(target=say_until_over, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def track(batches: Iterable[list[Item]], label: str, total: int | None = None) -> Iterator[list[Item]]:
    """Pass batches on, and show how many of the `total` items have been dealt with."""
    with progress(label, total) as advance:
        for batch in batches:
            yield batch
            advance(len(batch))
