"""The ranks of a node, of which the first begins the others: they end together, and one of them says why.

Lightning's own launcher ends the first rank without a word when another has failed, and the others not at all when the
first has: they would wait for it at a collective or, with the port not yet open, at the door.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import torch.distributed as dist
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed  # pyright: ignore[reportPrivateUsage]
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher  # pyright: ignore[reportPrivateUsage]

from unicorn.errors import UserError

FIRST = "UNICORN_FIRST_RANK"
"""By this variable a rank knows the process that began it."""

LOOK_SECONDS = 0.5

GRACE_SECONDS = 5.0
"""In which the first rank ends by itself, as it does where it is told of a failure by its next collective."""

_begun: list[subprocess.Popen[bytes]] = []


class Launcher(_SubprocessScriptLauncher):
    """Begins the other ranks of the node, unless torchrun or Slurm has, and ends with them."""

    def launch(self, function: Callable[..., Any], *arguments: Any, trainer: Any = None, **named: Any) -> Any:
        """What the function returns, called once all have been begun."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            os.environ[FIRST] = str(os.getpid())
            self._call_children_scripts()
            _begun.extend(self.procs)
            Thread(target=_end_with_another, daemon=True).start()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*arguments, **named)


def end_with_first() -> None:
    """From now on this process ends when the one is gone that began it, if it was begun by a first rank."""
    if os.environ.get(FIRST, str(os.getpid())) != str(os.getpid()):
        Thread(target=_end_with_first, args=[int(os.environ[FIRST])], daemon=True).start()


def disband() -> None:
    """All that the ranks have to do together is done: from now on what becomes of one does not end another."""
    _begun.clear()
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.destroy_process_group()


def failure_of_another(seconds: float = 0.0) -> BaseException | None:
    """How this process is to end where a rank that it has begun fails within so many seconds; None where none does."""
    until = time.monotonic() + seconds
    while _begun:
        for rank, process in enumerate(_begun, 1):
            if process.poll():
                return _failure(rank, process.returncode)
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_SECONDS)
    return None


def _failure(rank: int, code: int) -> BaseException:
    if code > 0:  # then it has said why
        return SystemExit(code)
    by = signal.Signals(-code)
    why = ", as by a system that is short of memory" if by == signal.SIGKILL else ""
    return UserError(
        f"rank {rank} was ended by {by.name}{why}, and the other ranks with it. "
        "Run the same command again to go on from the last checkpoint."
    )


def _end_with_another() -> None:
    """Where the first rank does not end by itself: NCCL's collectives wait for a rank that is gone."""
    while not (failure := failure_of_another()):
        time.sleep(LOOK_SECONDS)
    time.sleep(GRACE_SECONDS)
    if isinstance(failure, SystemExit):
        os._exit(int(failure.code or 0))
    print(f"error: {failure}", file=sys.stderr, flush=True)
    os._exit(2)


def _end_with_first(first: int) -> None:
    while os.getppid() == first:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
