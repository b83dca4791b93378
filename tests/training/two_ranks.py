"""Trains a run on two processes; Lightning starts this file once for each: FOLDER STRATEGY NAME CALL STAGE...

A STRATEGY may end in -offload, and then in -bf16. At the CALL-th pack that it makes, the second process is warned by
SIGTERM; 0 is never. Each process says how many numbers it keeps for a checkpoint, and what is left of a stage before.
"""

import gc
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from tests.training.tiny import ALIGN, FULL, LOOKS, LORA, Dies, Training
from unicorn.errors import StoppedError
from unicorn.training import run
from unicorn.training.module import UnicornModule
from unicorn.training.trainer import Precision, Strategy, TrainerSettings

STILL = {"learning_rate": 0.0, "projector_learning_rate": 0.0}
STAGES = {
    "align": ALIGN,
    "lora": replace(LORA, dropout=0.0),  # dropout is keyed by rank
    "full": FULL,
    "still": replace(LORA, dropout=0.0, **STILL),
}


class Tells(UnicornModule):
    """Says what its rank keeps for a checkpoint besides what its optimiser holds anyway."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        kept = tree_leaves((checkpoint["state_dict"], checkpoint["optimizer_states"]))
        numbers = sum(each.numel() for each in kept if isinstance(each, Tensor))
        print(f"rank {self.global_rank} keeps {numbers} numbers", flush=True)


class Watched(Training):
    """Says, where it loads a model, how many of DeepSpeed's optimisers are left of the stage before."""

    def build(self, **settings: Any) -> Any:
        left = sum(type(each).__name__.startswith("DeepSpeedZeroOptimizer") for each in gc.get_objects())
        print(f"{left} optimizers are left", flush=True)
        return super().build(**settings)


def main(folder: str, strategy: str, name: str, call: str, *stages: str) -> None:
    """Train; a stage that was stopped leaves the processes in peace."""
    run.UnicornModule = Tells  # type: ignore[misc]
    training = Watched(Path(folder))
    training.validation = LOOKS
    warned: dict[str, Any] = {}
    if int(call) and os.environ.get("LOCAL_RANK") == "1":
        how = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        warned["transfer"] = Dies(training.transfer, int(call), how)
    kind, *options = strategy.split("-")
    trainer = TrainerSettings(
        accelerator="cpu",
        devices=2,
        strategy=Strategy(kind),
        offload="offload" in options,
        precision=Precision.bf16_mixed if "bf16" in options else Precision.float32,
        checkpoint_every=3,
    )
    try:
        training.run(name, *(STAGES[stage] for stage in stages), trainer=trainer, **warned)
    except StoppedError as stopped:
        print(stopped)


if __name__ == "__main__":
    main(*sys.argv[1:])
