"""How a person, or a cluster, has a long stage end: once asked it finishes what it has begun, twice it ends at once."""

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from unicorn.errors import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger(__name__)


class Interruption:
    """While it is entered, the first SIGINT (Ctrl-C) or SIGTERM is noted in `asked`, and the second acts as ever.

    Outside the main thread, which alone hears signals, it notes nothing.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None

    def __enter__(self) -> Self:
        self._hears = threading.current_thread() is threading.main_thread()
        if self._hears:
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._hears:
            self._restore()

    def stop_if_asked(self) -> None:
        """Raises StoppedError if someone has asked."""
        if self.asked:
            raise StoppedError("stopped: every answer that came is saved.", self.asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number)
        self._restore()
        _log.info("finishing what is in flight, and taking nothing new; Ctrl-C again to stop now")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
