"""The entry scripts as processes of their own, to be killed, or to be run on a disk that is full."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conftest import Finished

ROOT = Path(__file__).parents[2]
NAMESPACE = ("unshare", "--map-root-user", "--mount")


@cache
def why_no_disk() -> str | None:
    """Why this machine mounts no small disk for a test, or None."""
    if not shutil.which("unshare"):
        return "no unshare (util-linux) to mount a small disk with"
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    finished = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"no small disk can be mounted: {finished.stderr.strip()}" if finished.returncode else None


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

    def run_for(self, seconds: float, line: tuple[str, ...]) -> tuple[Finished, float]:
        """A command, killed when it has had so many seconds of a processor, unless it ends before.

        Returns how many it has had. Seconds of a clock would be others on a machine that is busy.
        """
        process, had = self.start(*line), 0.0
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            while (had := _processor_seconds(process)) < seconds:
                time.sleep(0.005)
            os.kill(process, signal.SIGKILL)
        return self.finish(), had

    def mount(self, folder: Path, size: str) -> "Disk":
        """A disk of `size` bytes (4m, 64k) at `folder`, which these scripts alone see."""
        folder.mkdir()
        enter = ["nsenter", "--target", str(self._server.pid), "--user", "--preserve-credentials", "--mount"]
        subprocess.run([*enter, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
        return Disk(path=folder, seen=Path(f"/proc/{self._server.pid}/root{folder}"))


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
