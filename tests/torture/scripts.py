"""The entry scripts as processes of their own, to be killed, or to be run on a disk that is full."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import Finished

ROOT = Path(__file__).parents[2]
PATIENCE = 12.0  # less than a rank that is left alone waits before it says so
NAMESPACE = ("unshare", "--map-root-user", "--mount")


@cache
def why_no_disk() -> str | None:
    """Why this machine mounts no small disk for a test, or None."""
    if not shutil.which("unshare"):
        return "no unshare (util-linux) to mount a small disk with"
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    finished = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"no small disk can be mounted: {finished.stderr.strip()}" if finished.returncode else None


Whom = Callable[[int], list[int]]
"""Which processes to kill of a command, by its process id; none as long as they are not there."""


def only_rank(process: int) -> list[int]:
    """The process of the command, which is its first rank where there are several."""
    return [process]


def second_rank(process: int) -> list[int]:
    """The process that the first rank has begun."""
    begun = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in begun if Path(f"/proc/{child}/comm").read_text().strip() == "second rank"]


def both_ranks(process: int) -> list[int]:
    """All at once."""
    return [process, *second] if (second := second_rank(process)) else []


class Scripts:
    """Runs entry scripts one at a time, each in a new process; a context manager.

    Where the system allows it they see disks of their own, which go when they go: see `Disk`.
    """

    def __init__(self, folder: Path) -> None:
        self._errors = folder / "errors.txt"

    def __enter__(self) -> Self:
        quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONPATH": str(ROOT)}
        self._server = subprocess.Popen(
            [*(() if why_no_disk() else NAMESPACE), sys.executable, "-m", "tests.torture.server"],
            cwd=ROOT,
            env=os.environ | quiet,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._server:
            self._server.kill()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()

    def start(self, script: str, *arguments: str) -> int:
        """Begin `python script *arguments`; returns its process id."""
        assert self._server.stdin is not None
        print(json.dumps([str(self._errors), script, *arguments]), file=self._server.stdin, flush=True)
        return int(self._answer())

    def finish(self) -> Finished:
        """Wait for what was begun."""
        code = int(self._answer())
        return Finished(code, "", self._errors.read_text())

    def run(self, script: str, *arguments: str) -> Finished:
        """`python script *arguments`, to its end."""
        self.start(script, *arguments)
        return self.finish()

    def run_ranks(self, *line: str) -> Finished:
        """A command to the end of both its ranks, which is a minute away at most."""
        process = self.start(*line)
        others: list[int] = []
        with suppress(FileNotFoundError, ProcessLookupError):
            while not (others := second_rank(process)):
                time.sleep(0.005)
        try:
            require_gone([process, *others], 60.0)
        finally:
            finished = self.finish()
        assert others, f"ended before there was a second rank: {finished.err}"
        return finished

    def run_for(self, seconds: float, line: tuple[str, ...], whom: Whom = only_rank) -> tuple[Finished, float]:
        """A command of which some are killed when it has had so many seconds of a processor, unless it ends before.

        Returns how many it has had. Seconds of a clock would be others on a machine that is busy. No rank may live
        for longer than PATIENCE after.
        """
        process, had = self.start(*line), 0.0
        try:
            while (had := _processor_seconds(process)) < seconds or not whom(process):
                time.sleep(0.005)
            ranks = [process, *second_rank(process)]
            for killed in whom(process):
                os.kill(killed, signal.SIGKILL)
            require_gone(ranks, PATIENCE)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
        finally:
            finished = self.finish()
        return finished, had

    def mount(self, folder: Path, size: str) -> "Disk":
        """A disk of `size` bytes (4m, 64k) at `folder`, which these scripts alone see."""
        folder.mkdir()
        enter = ["nsenter", "--target", str(self._server.pid), "--user", "--preserve-credentials", "--mount"]
        subprocess.run([*enter, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
        return Disk(path=folder, seen=Path(f"/proc/{self._server.pid}/root{folder}"))


def require_gone(processes: list[int], seconds: float) -> None:
    """Wait for processes to end, and no longer than so many seconds."""
    until = time.monotonic() + seconds
    while left := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > until:
            for process in left:
                os.kill(process, signal.SIGKILL)
            raise AssertionError(f"{len(left)} of {len(processes)} processes still there after {seconds} s")
        time.sleep(0.02)


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _processor_seconds(process: int) -> float:
    """What the system has given a process so far."""
    values = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Disk:
    """A disk by its path for the scripts, and by the one under which a test sees it."""

    path: Path
    seen: Path

    def fill(self, free: int) -> None:
        """Leave room for `free` bytes."""
        size = os.statvfs(self.seen)
        with (self.seen / "filler").open("wb") as filler:
            filler.write(bytes(size.f_bavail * size.f_frsize - free))

    def make_room(self) -> None:
        """Take away what filled it."""
        (self.seen / "filler").unlink()
