"""Two ranks with nothing to train come to an end as name= says; one that does not end waits, as NCCL would have it."""

import os
import signal
import time
from pathlib import Path

from lightning.fabric.plugins.environments import LightningEnvironment

from unicorn import command
from unicorn.config import Config
from unicorn.errors import UserError
from unicorn.training import ranks
from unicorn.training.run import writing

ranks.LOOK_SECONDS, ranks.GRACE_SECONDS, command.HEAD_START_SECONDS = 0.1, 0.5, 2.0


def pair(config: Config) -> None:
    with writing(Path(config.run_folder)):
        launcher = ranks.Launcher(LightningEnvironment(), num_processes=2, num_nodes=1)
        launcher.launch(end, config.name, first=os.environ.get("LOCAL_RANK", "0") == "0")


def end(how: str, first: bool) -> None:
    if how == "parted":
        ranks.disband()
    match how, first:
        case ("parted", False):
            raise UserError("the second rank is mistaken, when all is done.")
        case ("parted", True):
            time.sleep(command.HEAD_START_SECONDS + 3.0)  # as one that writes what was learned
        case ("killed" | "killed_and_told", False):
            os.kill(os.getpid(), signal.SIGKILL)
        case ("mistaken" | "mistaken_and_told", False):
            raise UserError("the second rank is mistaken.")
        case ("wrong", False):
            raise ZeroDivisionError
        case ("all_mistaken", _) | ("first_mistaken", True):
            time.sleep(1.0 * first)
            raise UserError("all ranks are mistaken.")
        case ("killed_and_told" | "mistaken_and_told", True):
            while not ranks.failure_of_another():
                time.sleep(0.01)
            raise RuntimeError("Connection closed by peer")
        case ("first_mistaken", False):
            time.sleep(0.3)
            raise RuntimeError("Connection closed by peer")
        case _:
            time.sleep(1000)


command.run(pair)
