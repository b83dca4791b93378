"""The Lightning Trainer: devices, precision, strategy; what it would say on the console is left unsaid."""

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.loggers import Logger

    from unicorn.training.stage import Stage


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

    def __post_init__(self) -> None:
        for key in ("checkpoint_every", "log_every"):
            if getattr(self, key) < 1:
                raise UserError(f"trainer.{key}={getattr(self, key)}: must be 1 step or more.")

    def build(self, stage: "Stage", folder: Path, loggers: "list[Logger]") -> "Trainer":
        """The trainer of one stage, whose checkpoints lie in `folder`."""
        from lightning.pytorch import Trainer
        from lightning.pytorch.callbacks import Timer

        from unicorn.training.checkpoint import AtomicCheckpointIO, Checkpoints
        from unicorn.training.progress import ProgressDisplay

        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)  # its tips and its list of devices
        return Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=self.strategy,
            precision=cast("Any", LIGHTNING_PRECISION[self.precision]),
            max_epochs=stage.settings.epochs,
            logger=loggers,
            log_every_n_steps=1,
            callbacks=[
                Checkpoints(folder, self.checkpoint_every),
                ProgressDisplay(stage.name, stage.settings.epochs),
                Timer(),  # of all sessions together
            ],
            plugins=[AtomicCheckpointIO()],
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder.parent,
        )
