"""DeepSpeed's ZeRO (arXiv 1910.02054): optimiser state, gradients and, in stage 3, weights in shards."""

from typing import Any, cast

import torch
from lightning.pytorch.strategies import DeepSpeedStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from unicorn.training.strategy import ShardedStrategy

MOMENTS = ("exp_avg", "exp_avg_sq")


class Zero(ShardedStrategy, DeepSpeedStrategy):
    """ZeRO of a stage; with `offload`, gradients and optimiser state are kept by the CPU."""

    def __init__(self, stage: int, *, offload: bool, max_grad_norm: float, **named: Any) -> None:
        zero: dict[str, Any] = {"stage": stage, "overlap_comm": torch.cuda.is_available(), "contiguous_gradients": True}
        if offload:
            zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        config = {
            "zero_optimization": zero,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,  # PyTorch's AdamW; DeepSpeed's would be compiled first
            "train_micro_batch_size_per_gpu": 1,  # for its own log alone
            "managed_gradient_accumulation": False,  # every `step` of the engine is one
            "data_types": {"grad_accum_dtype": "fp32"},  # many packs are summed, and bf16 would lose the small ones
            "gradient_clipping": max_grad_norm,
        }
        super().__init__(config=config, **named)

    def setup_environment(self) -> None:
        """As on a GPU: Lightning refuses DeepSpeed on a CPU, where it runs as well."""
        super(DeepSpeedStrategy, self).setup_environment()

    def setup_distributed(self) -> None:
        """Likewise: there it would compare the numbers of GPUs with those of processes."""
        if self.root_device.type == "cuda":
            super().setup_distributed()
        else:
            import deepspeed

            cast("Any", deepspeed).ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled first
            self.set_world_ranks()
            self._init_deepspeed_distributed()

    def _initialize_deepspeed_train(self, model: nn.Module) -> None:
        """As Lightning's; then the float32 weights that learn go to the optimiser as they are.

        DeepSpeed casts the model to bfloat16 first, and makes the optimiser's float32 weights of what is left.
        """
        exact = {weight: weight.detach() for weight in model.parameters() if weight.requires_grad}
        super()._initialize_deepspeed_train(model)
        for weight, tensor in exact.items():
            if weight.dtype != tensor.dtype:
                self._put(weight, tensor, None)

    def _setup_model_and_optimizer(self, model: nn.Module, optimizer: Any, lr_scheduler: Any = None) -> tuple[Any, Any]:
        """As Lightning's, but that the device is found by the rank within the node: a CPU has no number."""
        import deepspeed

        weights = [weight for weight in model.parameters() if weight.requires_grad]
        engine, sharded, *_ = deepspeed.initialize(
            config=self.config,
            model=model,
            model_parameters=cast("Any", weights),
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            dist_init_required=False,
        )
        return engine, sharded

    def teardown(self) -> None:
        """Have DeepSpeed let go of the model too: it knows every weight by its name until it is given the next."""
        if self.model is not self.lightning_module:
            cast("Any", self.model).destroy()
        super().teardown()

    def take_step(self, optimizer: Optimizer, weights: list[nn.Parameter], max_norm: float) -> float:
        """The engine clips within its step; the norm is known after it."""
        optimizer.step()
        return float(cast("Any", self.deepspeed_engine).get_global_grad_norm())

    def gather(self, weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
        """The weights in float32, as the optimiser keeps them; all ranks must ask, the first has them."""
        from deepspeed.utils import safe_get_full_fp32_param

        return self.kept_by_first(
            (name, cast("Tensor", safe_get_full_fp32_param(weight))) for name, weight in weights.items()
        )

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state of AdamW as PyTorch has it without shards; all ranks must ask, the first has it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        self._link()
        step = next(iter(self._inner.state.values()))["step"].cpu()
        state = {
            number: {"step": step.clone()}
            | self.kept_by_first((key, cast("Tensor", safe_get_full_optimizer_state(weight, key))) for key in MOMENTS)
            for number, weight in enumerate(self._weights())
        }
        if not self.is_global_zero:
            return {}
        numbers = iter(range(len(state)))
        groups = [
            {key: value for key, value in group.items() if key != "params"}
            | {"params": [next(numbers) for _ in weights]}
            for group, weights in zip(self._inner.param_groups, self._groups(), strict=True)
        ]
        return {"state": state, "param_groups": groups}

    def load_model_state_dict(self, checkpoint: Any, strict: bool = True) -> None:
        """Put a checkpoint's weights into the model and, in float32, into the optimiser."""
        from deepspeed.runtime.zero import GatheredParameters

        weights = dict(cast("nn.Module", self.lightning_module).named_parameters())
        for name, tensor in checkpoint["state_dict"].items():
            with GatheredParameters([weights[name]], modifier_rank=0), torch.no_grad():
                weights[name].copy_(tensor)
            self._put(weights[name], tensor, None)

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Put a checkpoint's moments into the shards, which DeepSpeed makes at its first step only."""
        (state,) = checkpoint["optimizer_states"]
        for flat in self._flat:
            place = flat.device if self._inner.defaults["fused"] else "cpu"  # where AdamW counts, one kernel or more
            self._inner.state[flat] = {key: torch.zeros_like(flat) for key in MOMENTS}
            self._inner.state[flat]["step"] = state["state"][0]["step"].clone().to(place)
        self._link()
        for number, weight in enumerate(self._weights()):
            for key in MOMENTS:
                self._put(weight, state["state"][number][key], key)
        for group, saved in zip(self._inner.param_groups, state["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})

    @property
    def _engine_optimizer(self) -> Any:
        return cast("Any", self.deepspeed_engine).optimizer

    @property
    def _inner(self) -> Any:
        return self._engine_optimizer.optimizer

    @property
    def _flat(self) -> list[Tensor]:
        """The shards of weights that the inner optimiser steps."""
        optimizer = self._engine_optimizer
        return (
            optimizer.fp32_partitioned_groups_flat if self.zero_stage_3 else optimizer.single_partition_of_fp32_groups
        )

    def _link(self) -> None:
        """Tell weights where their moments are: stage 2 does so after its first step, and for its first group alone."""
        if not self.zero_stage_3:
            self._engine_optimizer._hp_optimizer_states_linked = False
            self._engine_optimizer._lazy_init_hp_params_optimizer_state()

    def _groups(self) -> list[list[nn.Parameter]]:
        module = cast("Any", self.lightning_module)
        return [group["params"] for group in module.stage.parameter_groups(module.model)]

    def _weights(self) -> list[nn.Parameter]:
        return [weight for group in self._groups() for weight in group]

    def _put(self, weight: nn.Parameter, tensor: Tensor, key: str | None) -> None:
        """Put this rank's part of a whole tensor where the optimiser keeps that of the weight, or of a moment."""
        if not self.zero_stage_3:
            cast("Any", weight).set_full_hp_param(tensor.float().to(self.root_device), key)
            return
        part = cast("Any", weight).ds_tensor.numel()
        padded = nn.functional.pad(tensor.flatten().float(), (0, part * self.world_size - tensor.numel()))
        mine = padded[self.global_rank * part :][:part].to(self.root_device)
        self._engine_optimizer.set_local_hp_param(mine, weight, key)
