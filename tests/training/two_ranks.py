"""Trains a run on two processes; Lightning starts this file once for each: FOLDER STRATEGY NAME CALL STAGE...

A STRATEGY may end in -offload. At the CALL-th pack that it makes, the second process is warned by SIGTERM; 0 is never.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.training.tiny import ALIGN, FULL, LOOKS, LORA, Dies, Training
from unicorn.errors import StoppedError
from unicorn.training.trainer import Strategy, TrainerSettings

STAGES = {"align": ALIGN, "lora": replace(LORA, dropout=0.0), "full": FULL}  # dropout is keyed by rank


def main(folder: str, strategy: str, name: str, call: str, *stages: str) -> None:
    """Train; a stage that was stopped leaves the processes in peace."""
    training = Training(Path(folder))
    training.validation = LOOKS
    warned: dict[str, Any] = {}
    if int(call) and os.environ.get("LOCAL_RANK") == "1":
        how = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        warned["transfer"] = Dies(training.transfer, int(call), how)
    kind, _, offload = strategy.partition("-")
    trainer = TrainerSettings(accelerator="cpu", devices=2, strategy=Strategy(kind), offload=bool(offload))
    try:
        training.run(name, *(STAGES[stage] for stage in stages), trainer=trainer, **warned)
    except StoppedError as stopped:
        print(stopped)


if __name__ == "__main__":
    main(*sys.argv[1:])
