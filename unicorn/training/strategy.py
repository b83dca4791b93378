"""How devices share the work: one device, or everything on each of them.

Lightning's strategies make a whole training step one forward pass of the wrapped module. Here a step is many packs, and
the LightningModule calls what the strategy wrapped, pack by pack. Whatever the strategy, a checkpoint is one file of
whole tensors: a run may go on under another strategy, or on another number of devices.
"""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, ParallelStrategy, SingleDeviceStrategy, Strategy
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from unicorn.errors import UserError
from unicorn.training.checkpoint_files import newest
from unicorn.training.ranks import Launcher

_log = logging.getLogger(__name__)
Key = TypeVar("Key")


class PackStrategy(Strategy):
    """What the LightningModule asks of a strategy besides what Lightning does."""

    def _configure_launcher(self) -> None:
        if isinstance(self, ParallelStrategy):
            many = cast("Any", self)
            self._launcher = Launcher(many.cluster_environment, many.num_processes, many.num_nodes)

    def training_step(self, *arguments: Any, **named: Any) -> Any:
        """The module's own, not as a forward pass of the wrapped module."""
        with self.precision_plugin.train_step_context():
            return cast("Any", self.lightning_module).training_step(*arguments, **named)

    def validation_step(self, *arguments: Any, **named: Any) -> Any:
        """The module's own, not as a forward pass of the wrapped module."""
        with self.precision_plugin.val_step_context():
            return cast("Any", self.lightning_module).validation_step(*arguments, **named)

    def shard(self, model: nn.Module) -> None:
        """Spread the weights over the ranks, where the strategy does."""

    def accumulating(self, last: bool) -> AbstractContextManager[None]:
        """Where a pack goes forward and backward; `last` says that the step is taken after it."""
        return nullcontext()

    def take_step(self, optimizer: Optimizer, weights: list[nn.Parameter], max_norm: float) -> float:
        """Clip the gradient of the whole batch to `max_norm` and take the step; returns the norm before."""
        norm = float(whole(clip_grad_norm_(weights, max_norm)))
        optimizer.step()
        optimizer.zero_grad()
        return norm

    def all_reduce_sum(self, numbers: list[float]) -> list[float]:
        """Sums over the ranks; all must ask. Lightning's own would wait for all at a barrier before each."""
        ranks = cast("Any", self).world_size
        total = torch.tensor(numbers, dtype=torch.float64, device="cpu" if ranks == 1 else self.root_device)
        if ranks > 1:
            dist.all_reduce(total)
        return total.tolist()

    def gather(self, weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
        """The weights, whole, in the memory of the first rank's machine; all ranks must ask, the others get nothing."""
        return self.kept_by_first((name, whole(weight.detach())) for name, weight in weights.items())

    def kept_by_first(self, items: Iterable[tuple[Key, Tensor]]) -> dict[Key, Tensor]:
        """Tensors that all ranks take part in making, one by one, kept on the CPU by the first rank alone.

        Eight ranks of one machine would otherwise hold a model and its moments eight times.
        """
        kept: dict[Key, Tensor] = {}
        for key, tensor in items:
            if self.is_global_zero:
                kept[key] = tensor.cpu()
        return kept

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """The newest checkpoint that is whole of a folder: the first rank looks for it, and all read the same.

        Raises UserError, by all ranks, where none is whole or one cannot be read.
        """
        found: Path | UserError | None = None
        if self.is_global_zero:
            try:
                found = newest(checkpoint_path)
            except UserError as error:
                found = error
        found = self.broadcast(found)
        if isinstance(found, UserError):
            raise found
        if found is None:
            raise UserError(
                f"no checkpoint in {checkpoint_path} is whole. Restore one from a copy, or delete the folder to train "
                "from the start."
            )
        if self.is_global_zero:
            _log.info("%s: goes on at %s", checkpoint_path.parent.name, found.stem)
        return Strategy.load_checkpoint(self, found, weights_only=True)


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may lie in shards, put together; all ranks must ask."""
    return cast("Any", tensor).full_tensor() if hasattr(tensor, "full_tensor") else tensor


class ShardedStrategy(PackStrategy):
    """A strategy that holds weights and moments in shards; its checkpoint is one file of whole tensors all the same.

    Those of Lightning's own sharded strategies are folders that only as many ranks can read, frozen weights included.
    """

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Nothing: the module says what is kept."""
        return {}

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """One file, by the first rank."""
        Strategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning hands the state over."""
        return True


class SingleDevice(PackStrategy, SingleDeviceStrategy):
    """One device."""

    world_size = 1


class DataParallel(PackStrategy, DDPStrategy):
    """Everything on each device; gradients are exchanged once a step, with its last pack."""

    def accumulating(self, last: bool) -> AbstractContextManager[None]:
        """Without an exchange until the last pack."""
        return nullcontext() if last else self.block_backward_sync()

    def pre_backward(self, closure_loss: Tensor) -> None:
        """Nothing: the forward pass of DDP prepares its own backward pass."""
