"""An engine in a process of its own, which lives no longer than the one that asks it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

_A_MOMENT = 1.0  # seconds
_GRACE_SECONDS = 20  # to end what it has started in its turn


class Child:
    """A Python file that runs as a process, is told its settings as JSON, and speaks line by line.

    Ctrl-C in the terminal does not reach it, so that what is in flight can be finished. It ends when its standard input
    does, which the system closes whatever way this process ends. What else it has to say is kept for `last_words`, for
    which `errors` finds an error in a line, as its first group.
    """

    def __init__(
        self, script: Path, settings: Mapping[str, Any], *, errors: str, python: str | Path = sys.executable
    ) -> None:
        self._errors = re.compile(errors)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in close()
        self._begun = False
        self._process = subprocess.Popen(
            [python, script, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def write(self, line: bytes) -> None:
        """Give it a line."""
        with suppress(BrokenPipeError):  # it has ended, as whoever waits for its answer finds
            self._in.write(line + b"\n")
            self._in.flush()

    def read(self) -> bytes:
        """The next line that it gives; empty if it has ended."""
        line = self._out.readline().strip()
        self._begun = self._begun or bool(line)
        return line

    def ended(self) -> bool:
        """Whether it is there no more."""
        return self._process.poll() is not None

    def last_words(self) -> str:
        """The error that it has ended with."""
        with suppress(subprocess.TimeoutExpired):  # it closes its output before it has ended
            self._process.wait(_A_MOMENT)
        code = f" (exit code {self._process.returncode})" if self.ended() else ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        errors = [found[1] for line in lines if (found := self._errors.search(line))]
        # What fails at the start is told first, and then by all who needed it.
        words = (errors[-1] if self._begun else errors[0]) if errors else lines[-1]
        return shorten(words, 200, placeholder=" ...").rstrip(".") + code

    def close(self) -> None:
        """End it, whatever it is doing, and what it has started."""
        with suppress(BrokenPipeError):
            self._in.close()
        try:
            self._process.wait(_GRACE_SECONDS if self._begun else 0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._out.close()
        self._log.close()
