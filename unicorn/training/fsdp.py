"""PyTorch's fully_shard (FSDP2): weights, gradients and optimiser state in shards, layer by layer."""

from typing import Any, cast

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from unicorn.errors import UserError
from unicorn.model.projector import Projector
from unicorn.training.layers import decoder_layers
from unicorn.training.strategy import ShardedStrategy, whole


class FullySharded(ShardedStrategy, ModelParallelStrategy):
    """Shards over all devices; they are gathered in `compute_dtype`, and gradients summed in float32."""

    def __init__(self, devices: int, compute_dtype: torch.dtype, **named: Any) -> None:
        """`devices` is their number over all nodes."""
        super().__init__(data_parallel_size=devices, tensor_parallel_size=1, **named)
        self._policy = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32)

    def shard(self, model: nn.Module) -> None:
        """Every decoder layer and the projector are gathered alone, the rest with the root, whose forward is called."""
        if len(kinds := {weight.dtype for weight in model.parameters()}) > 1:
            raise UserError(
                f"trainer.strategy=fsdp2 shards weights of one type, and these have {len(kinds)}. Set "
                "model.dtype=float32; they are computed with in bfloat16 where trainer.precision=bf16_mixed."
            )
        mesh: DeviceMesh = self.device_mesh["data_parallel"]
        projectors = [module for module in model.modules() if isinstance(module, Projector)]
        for module in (*decoder_layers(model), *projectors, model):
            fully_shard(module, mesh=mesh, mp_policy=self._policy)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state with whole tensors; all ranks must ask, the first has it."""
        state = optimizer.state_dict()
        moments = {
            number: self.kept_by_first((key, whole(value)) for key, value in sharded.items())
            for number, sharded in state["state"].items()
        }
        return state | {"state": moments} if self.is_global_zero else {}

    def load_model_state_dict(self, checkpoint: Any, strict: bool = True) -> None:
        """Put a checkpoint's weights into the shards."""
        weights = dict(cast("nn.Module", self.lightning_module).named_parameters())
        with torch.no_grad():
            for name, tensor in checkpoint["state_dict"].items():
                weights[name].copy_(_sharded(tensor, weights[name]))

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Put a checkpoint's moments into the shards."""
        (optimizer,), (state,) = self.optimizers, checkpoint["optimizer_states"]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        shards = {
            number: {key: _sharded(value, weights[number]) if value.dim() else value for key, value in moments.items()}
            for number, moments in state["state"].items()
        }
        optimizer.load_state_dict(state | {"state": shards})


def _sharded(tensor: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
