"""The errors that a user can mend, each one clear line."""

import signal
from textwrap import shorten


class UserError(Exception):
    """Something the user can mend: what is wrong, where (file, row, key), and what to do, in one line.

    The entry scripts print it without a traceback and exit with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def in_a_line(said: BaseException | str) -> str:
    """What a library or a server says of a failure, in a line of 200 letters at most."""
    return shorten(str(said) or type(said).__name__, 200, placeholder=" ...").rstrip(".")


class StoppedError(Exception):
    """A signal asked the process to end; what it did is saved, and the same command goes on from there."""

    def __init__(self, message: str, number: signal.Signals = signal.SIGTERM) -> None:
        super().__init__(message, number)
        self.message = message
        self.number = number

    def __str__(self) -> str:
        return self.message
