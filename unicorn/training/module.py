"""The LightningModule of every stage: a step is all packs of a global batch, its loss their tokens' mean."""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from transformers import get_cosine_schedule_with_warmup

from unicorn.data.batch import IGNORED, PackTensors, Step
from unicorn.data.module import UnicornDataModule
from unicorn.errors import UserError
from unicorn.training.stage import Stage, trainable

NAMED = 8


class UnicornModule(LightningModule):
    """Trains `model` as `stage` says.

    The loss of a step is the summed cross-entropy of all its supervised tokens divided by their number, so
    that the packs and the ranks it is spread over change nothing. Lightning's own accumulation divides by a
    fixed number of packs instead: therefore the optimisation is manual.
    """

    def __init__(self, model: nn.Module, stage: Stage, *, seed: int, log_every: int, fused_optimizer: bool) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False
        self.model = model
        self.stage = stage
        self.seed = seed
        self.log_every = log_every
        self.fused_optimizer = fused_optimizer
        self.numbers: dict[str, float] = {}
        """What was logged last."""

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a warm-up and a cosine to zero over all steps."""
        settings = self.stage.settings
        steps = self.data.order.steps_per_epoch * settings.epochs
        groups = self.stage.parameter_groups(self.model)
        optimizer = AdamW(groups, weight_decay=0.0, fused=self.fused_optimizer or None)  # None: torch's own choice
        scheduler = get_cosine_schedule_with_warmup(optimizer, math.ceil(settings.warmup * steps), steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def data(self) -> UnicornDataModule:
        """The data that it is trained on."""
        return cast("UnicornDataModule", cast("Any", self.trainer).datamodule)

    def on_train_start(self) -> None:
        """Start the clock of the first step."""
        self._ended = time.perf_counter()

    def training_step(self, step: Step) -> None:
        """All packs backward, then one clipped step. Raises UserError where the gradient is not finite."""
        torch.manual_seed(self._dropout_seed())
        loss = torch.zeros((), device=self.device, dtype=torch.float32)
        for index, pack in enumerate(step.packs):
            with self._synchronising(index == len(step.packs) - 1):
                part = self._loss(pack, step.supervised)
                self.manual_backward(part * self.trainer.world_size)  # ranks are averaged, not summed
            loss += part.detach()
        norm = clip_grad_norm_(trainable(self.model).values(), self.stage.settings.gradient_clip)
        if not torch.isfinite(norm):
            raise self._not_finite(step)
        scheduler = cast("Any", self.lr_schedulers())
        learning_rate = scheduler.get_last_lr()[-1]
        optimizer = cast("Any", self.optimizers())
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        seconds, self._ended = time.perf_counter() - self._ended, time.perf_counter()
        self._record(
            loss=self._sum(loss),
            learning_rate=learning_rate,
            gradient_norm=norm.item(),
            tokens_per_second=self._sum(torch.tensor(step.tokens / seconds, device=self.device, dtype=torch.float32)),
        )

    def on_validation_epoch_start(self) -> None:
        """Begin the sum anew."""
        self._held_out = torch.zeros(2, device=self.device)

    def validation_step(self, step: Step) -> None:
        """Add a held-out step's cross-entropy and its tokens to the sum."""
        for pack in step.packs:
            self._held_out[0] += self._loss(pack, 1)
            self._held_out[1] += (pack.labels != IGNORED).sum()

    def on_validation_epoch_end(self) -> None:
        """Log the mean cross-entropy of all held-out tokens. Raises UserError if it is not finite."""
        loss = self._sum(self._held_out[0]) / self._sum(self._held_out[1])
        if not math.isfinite(loss):
            raise UserError(f"the validation loss of {self.stage.name} is {loss}. Lower its learning rate.")
        self._record(**{"validation/loss": loss})
        self._ended = time.perf_counter()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained; the rest comes from the model that the stage starts with."""
        checkpoint["state_dict"] = dict(trainable(self))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raise UserError where a checkpoint does not hold exactly what this stage trains."""
        differing = checkpoint["state_dict"].keys() ^ trainable(self).keys()
        if differing:
            raise UserError(f"the checkpoint does not fit the {self.stage.name} stage: {min(differing)} differs.")

    def _loss(self, pack: PackTensors, tokens: int) -> Tensor:
        return self.model(
            input_ids=pack.input_ids,
            position_ids=pack.position_ids,
            image_embeds=pack.image_embeds,
            labels=pack.labels,
            num_items_in_batch=tokens,
            use_cache=False,
        ).loss

    def _record(self, **numbers: float) -> None:
        """Log in the row of the steps taken: now, since Lightning does it after a checkpoint of this step."""
        self.numbers |= numbers
        taken = self.trainer.global_step
        if taken % self.log_every == 0 or self.trainer.is_last_batch:
            epoch = self.data.order.epoch(taken - 1)
            for logger in self.loggers:
                logger.log_metrics({"epoch": epoch} | numbers, taken)

    def _sum(self, number: Tensor) -> float:
        """The sum over the ranks."""
        return float(self.trainer.strategy.reduce(number, reduce_op="sum"))

    def _synchronising(self, last: bool) -> AbstractContextManager[None]:
        """Gradients are exchanged between the ranks once, with the last pack."""
        strategy = self.trainer.strategy
        if last or not isinstance(strategy, ParallelStrategy):
            return nullcontext()
        return strategy.block_backward_sync()

    def _dropout_seed(self) -> int:
        """Dropout is keyed by step and rank, so that a resumed run needs no state of a generator."""
        key = np.random.SeedSequence([self.seed, self.trainer.global_step, self.global_rank])
        return int(key.generate_state(1)[0])

    def _not_finite(self, step: Step) -> UserError:
        ids = self.data.samples.ids(step.samples[:NAMED])
        more = f" and {len(step.samples) - NAMED} more" if len(step.samples) > NAMED else ""
        return UserError(
            f"the gradient of {self.stage.name} step {self.trainer.global_step + 1} is not finite. Its samples: "
            f"{', '.join(ids)}{more}. Lower {self.stage.name}.learning_rate, or look at these samples."
        )
