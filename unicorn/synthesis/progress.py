"""Progress of a stage: a bar on a terminal, a line in the log every half minute elsewhere."""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from unicorn.report.progress import progress_bar

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress(label: str, total: int) -> Generator[Callable[[int], None]]:
    """Show how far the work is; call what is yielded with the number of items that were just finished."""
    bar = progress_bar()
    if bar.console.is_terminal:
        with bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        yield _Lines(label, total).advance


class _Lines:
    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._began = self._said = time.monotonic()

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if self._done and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            rate = self._done / (now - self._began)
            left = (self._total - self._done) / rate
            done = f"{self._label}: {self._done:,} of {self._total:,}"
            _log.info("%s, %.0f/s, %.0f s left", done, rate, left)
