"""The Lightning Trainer: devices, precision, strategy; what it would say on the console is left unsaid."""

import logging
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unicorn.device import choose_device
from unicorn.errors import UserError
from unicorn.model.settings import Dtype
from unicorn.training.plan.card import find_card

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import Trainer
    from lightning.pytorch.loggers import Logger

    from unicorn.model.settings import ModelSettings
    from unicorn.training.stage import Stage
    from unicorn.training.strategy import PackStrategy
    from unicorn.training.validation_settings import ValidationSettings


class Precision(StrEnum):
    """The type that is computed in, and that of the weights that learn."""

    float32 = "float32"
    """Everything in the type of the weights: `model.dtype`, and the projector's float32."""
    bf16_mixed = "bf16_mixed"
    """Matrices are multiplied in bfloat16, weights keep their type: the choice for align and LoRA, with
    `model.dtype=bfloat16` for the frozen weights, since projector and adapters learn in float32."""
    bf16 = "bf16"
    """All weights in bfloat16. With zero2 and zero3 DeepSpeed keeps float32 copies of those that learn, as the paper
    does; elsewhere there are none, and a step of less than 1/256 of a weight is rounded away: at a full tune's 1e-5
    most are."""


class Strategy(StrEnum):
    """How the devices share the work, by what each of them holds whole."""

    single = "single"
    """One device."""
    ddp = "ddp"
    """Everything on each."""
    zero2 = "zero2"
    """DeepSpeed ZeRO-2 (arXiv 1910.02054): the weights on each; gradients and optimiser state sharded."""
    zero3 = "zero3"
    """DeepSpeed ZeRO-3: weights, gradients and optimiser state sharded."""
    fsdp2 = "fsdp2"
    """PyTorch's fully_shard: as zero3, layer by layer."""


DEEPSPEED = (Strategy.zero2, Strategy.zero3)

LIGHTNING_PRECISION = {
    Precision.float32: "32-true",
    Precision.bf16_mixed: "bf16-mixed",
    Precision.bf16: "bf16-true",
}


@dataclass(kw_only=True)
class TrainerSettings:
    """Where and how fast to train; of all of it only `precision` changes what is learned."""

    accelerator: str = "auto"
    devices: int = 1
    """Devices of each node; -1 for all there are."""
    nodes: int = 1
    strategy: Strategy = Strategy.single
    offload: bool = False
    """With zero2 and zero3: gradients and optimiser state are kept in the memory of the CPU."""
    precision: Precision = Precision.float32
    gradient_checkpointing: bool = False
    """Keep each layer's input alone, and compute the layer again for its gradients: memory for time."""
    compile: bool = False
    """torch.compile for the layers of the language model."""
    fused_optimizer: bool = False
    """AdamW in one kernel."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""
    log_every: int = 1
    """Steps between two rows of `metrics.csv`."""
    peak_teraflops: float | None = None
    """Of one device in `precision`, of which `mfu` is a share; null: of its data sheet, where its name is known."""

    def __post_init__(self) -> None:
        for key in ("checkpoint_every", "log_every"):
            if getattr(self, key) < 1:
                raise UserError(f"trainer.{key}={getattr(self, key)}: must be 1 step or more.")
        if self.peak_teraflops is not None and self.peak_teraflops <= 0:
            raise UserError(f"trainer.peak_teraflops={self.peak_teraflops}: must be above 0.")
        if self.offload and self.strategy not in DEEPSPEED:
            raise UserError(
                f"trainer.offload=true is DeepSpeed's, and trainer.strategy is {self.strategy}. Set it to zero2."
            )
        if self.nodes < 1 or (self.devices < 1 and self.devices != -1):
            raise UserError(
                f"trainer.nodes={self.nodes}, trainer.devices={self.devices}: at least 1 of each; devices=-1 takes all."
            )

    def require(self, stage: "Stage", model: "ModelSettings") -> None:
        """Raises UserError where devices, strategy, the stage and the types of the model's weights do not go together.

        It needs no weights, and is asked before any is loaded.
        """
        if self.strategy is Strategy.single and self._ranks != 1:
            raise UserError(
                f"{self._ranks} devices share the work by a strategy. Set trainer.strategy to "
                f"{', '.join(kind for kind in Strategy if kind is not Strategy.single)}."
            )
        if stage.settings.batch < self._ranks:
            raise UserError(
                f"{stage.name}.batch={stage.settings.batch} conversations leave some of {self._ranks} devices without "
                "work. Set it to as many at least, or train on fewer devices."
            )
        if self.strategy in DEEPSPEED and find_spec("deepspeed") is None:
            raise UserError(f"trainer.strategy={self.strategy} needs DeepSpeed: pip install 'unicorn-vlm[deepspeed]'.")
        if self.nodes > 1 and not _started_by_a_cluster():
            raise UserError(
                f"trainer.nodes={self.nodes}: this command begins the ranks of its own node alone. "
                "Run it on each node by torchrun, or under Slurm by srun."
            )
        learns_in_bfloat16 = stage.trains_language_model and model.dtype is Dtype.bfloat16
        keeps_float32 = self.strategy in DEEPSPEED and self.precision is Precision.bf16_mixed
        if learns_in_bfloat16 and not keeps_float32 and self.precision is not Precision.bf16:
            raise UserError(
                f"{stage.name} trains the language model's weights in model.dtype=bfloat16, and trainer.strategy="
                f"{self.strategy} with trainer.precision={self.precision} keeps no float32 copies of them: most steps "
                "would be rounded away. Set model.dtype=float32, or trainer.strategy=zero2 or zero3 with "
                "trainer.precision=bf16_mixed."
            )

    def take_device(self) -> None:
        """Have what loads weights onto a GPU by itself, as 4-bit ones are, take this process's own."""
        import torch

        if self._device.type != "cpu":
            torch.accelerator.set_device_index(choose_device("auto"))

    def build(
        self, stage: "Stage", folder: Path, loggers: "list[Logger]", validation: "ValidationSettings"
    ) -> "Trainer":
        """The trainer of one stage, whose checkpoints lie in `folder`."""
        from lightning.pytorch import Trainer
        from lightning.pytorch.callbacks import Timer

        from unicorn.training.checkpoint import Checkpoints
        from unicorn.training.checkpoint_files import AtomicCheckpointIO
        from unicorn.training.progress import ProgressDisplay
        from unicorn.training.validation import Validation

        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)  # its tips and its list of devices
        return Trainer(
            accelerator=self.accelerator,
            devices=self._devices,
            num_nodes=self.nodes,
            strategy=self._strategy(stage.settings.max_grad_norm),
            precision=cast("Any", self._lightning_precision),
            max_epochs=stage.settings.epochs,
            logger=loggers,
            log_every_n_steps=1,
            callbacks=[
                Validation(validation),  # before a checkpoint: a run that goes on there has this step's numbers
                Checkpoints(folder, self.checkpoint_every),
                ProgressDisplay(stage.name, stage.settings.epochs),
                Timer(),  # of all sessions together
            ],
            plugins=[AtomicCheckpointIO()],
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder.parent,
        )

    @property
    def peak(self) -> float | None:
        """Teraflops of one device, if they are known."""
        import torch

        if self.peak_teraflops is not None or self._device.type != "cuda":
            return self.peak_teraflops
        card = find_card(torch.cuda.get_device_name(self._device))
        return card.teraflops if card else None

    @property
    def _device(self) -> "torch.device":
        return choose_device("auto" if self.accelerator == "gpu" else self.accelerator)

    @property
    def _devices(self) -> int:
        """Devices of each node."""
        import torch

        if self.devices != -1:
            return self.devices
        return 1 if self._device.type == "cpu" else torch.accelerator.device_count()

    @property
    def _ranks(self) -> int:
        """Devices over all nodes."""
        return self._devices * self.nodes

    @property
    def _lightning_precision(self) -> str:
        """FSDP2 computes in bf16 by itself, and keeps the weights that it shards in float32."""
        return LIGHTNING_PRECISION[Precision.float32 if self.strategy is Strategy.fsdp2 else self.precision]

    def _strategy(self, max_grad_norm: float) -> "PackStrategy":
        from unicorn.training.strategy import DataParallel, SingleDevice

        backend = "gloo" if self._device.type == "cpu" else None
        match self.strategy:
            case Strategy.single:
                return SingleDevice(device=self._device)
            case Strategy.ddp:
                return DataParallel(process_group_backend=backend, broadcast_buffers=False)
            case Strategy.zero2 | Strategy.zero3:
                from unicorn.training.zero import Zero

                stage = 2 if self.strategy is Strategy.zero2 else 3
                return Zero(stage, offload=self.offload, max_grad_norm=max_grad_norm, process_group_backend=backend)
            case Strategy.fsdp2:
                import torch

                from unicorn.training.fsdp import FullySharded

                kind = torch.float32 if self.precision is Precision.float32 else torch.bfloat16
                return FullySharded(self._ranks, kind, process_group_backend=backend)


def _started_by_a_cluster() -> bool:
    """Whether another program has begun this process as one of several, and the others too."""
    from lightning.fabric.plugins.environments.lsf import LSFEnvironment
    from lightning.fabric.plugins.environments.mpi import MPIEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    known = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
    return any(environment.detect() for environment in known)
