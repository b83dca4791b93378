"""Where tensors are."""

import gc
import os
import resource
import sys
from typing import TYPE_CHECKING

from unicorn.errors import UserError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> "torch.device":
    """The device of that name; `auto` is the accelerator, or the CPU where there is none.

    Of several accelerators `auto` takes the one that a launcher has given this process (LOCAL_RANK, or Slurm's name
    for it).

    Raises UserError if there is no such device.
    """
    import torch

    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        if accelerator is None:
            return torch.device("cpu")
        rank = int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0)
        return torch.device(accelerator.type, rank % torch.accelerator.device_count())  # Slurm may show it one alone
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter of a build that knows CUDA by name alone
        reason = str(error).splitlines()[0]
        raise UserError(f"no device {name} here: {reason} Set device to auto, cpu, or one that is there.") from error


def release_memory() -> None:
    """Give back what nothing refers to any more, or what refers to itself alone, as trained models do."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def peak_memory(device: "torch.device") -> int:
    """The most bytes that tensors of this process took on an accelerator, or that the process took in memory."""
    import torch

    if device.type == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return torch.accelerator.max_memory_allocated(device)
