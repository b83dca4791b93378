"""The LightningModule of every stage: a step is all packs of a global batch, its loss their tokens' mean."""

import math
import time
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import AdamW
from transformers import get_cosine_schedule_with_warmup

from unicorn.data.batch import PackTensors, Step
from unicorn.data.module import UnicornDataModule
from unicorn.device import peak_memory
from unicorn.errors import UserError
from unicorn.model.modeling import UnicornOutput
from unicorn.model.projector import Projector
from unicorn.training.plan.flops import FlopCounter
from unicorn.training.stage import Stage, trainable
from unicorn.training.strategy import PackStrategy

MAX_IDS_IN_MESSAGE = 8


class NotFiniteError(UserError):
    """The loss or the gradient of a step is not finite."""


class UnicornModule(LightningModule):
    """Trains `model` as `stage` says.

    The loss of a step is the summed cross-entropy of all its supervised tokens divided by their number, so
    that the packs and the ranks it is spread over change nothing. Lightning's own accumulation divides by a
    fixed number of packs instead: therefore the optimisation is manual.
    """

    def __init__(
        self,
        model: nn.Module,
        stage: Stage,
        *,
        seed: int,
        log_every: int,
        fused_optimizer: bool,
        peak_teraflops: float | None,
    ) -> None:
        """`peak_teraflops` of one device is what its use is a share of; None: unknown."""
        super().__init__()
        self.automatic_optimization = False
        self.strict_loading = False
        self.model = model
        self.stage = stage
        self.seed = seed
        self.log_every = log_every
        self.fused_optimizer = fused_optimizer
        self.peak_teraflops = peak_teraflops
        self.flops = FlopCounter.of(model)
        self.numbers: dict[str, float] = {}
        """What was logged last."""
        self.learned: dict[str, Tensor] = {}
        """At the end, of the first rank: the weights that were trained, whole, by their names in `model`."""

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW with a warm-up and a cosine to zero over all steps."""
        settings = self.stage.settings
        steps = self.data.order.steps_per_epoch * settings.epochs
        groups = self.stage.parameter_groups(self.model)
        optimizer = AdamW(groups, weight_decay=0.0, fused=self.fused_optimizer or None)  # None: torch's own choice
        scheduler = get_cosine_schedule_with_warmup(optimizer, math.ceil(settings.warmup_ratio * steps), steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def data(self) -> UnicornDataModule:
        """The data that it is trained on."""
        return cast("UnicornDataModule", cast("Any", self.trainer).datamodule)

    @property
    def strategy(self) -> PackStrategy:
        """How the devices share its packs."""
        return cast("PackStrategy", self.trainer.strategy)

    def configure_model(self) -> None:
        """Spread the weights over the ranks, where the strategy does."""
        self.strategy.shard(self.model)

    def forward(self, pack: PackTensors, **asked: Any) -> UnicornOutput:
        """What the model makes of a pack; `asked` says what of it is wanted."""
        return self.model(
            input_ids=pack.input_ids,
            position_ids=pack.position_ids,
            image_embeds=pack.image_embeds,
            use_cache=False,
            **asked,
        )

    def forward_wrapped(self, pack: PackTensors, **asked: Any) -> Any:
        """`forward`, of what the strategy wrapped."""
        return cast("Any", self.strategy.model)(pack, **asked)

    def on_fit_start(self) -> None:
        """Without an epoch, what is there from the start is what was learned."""
        if not self.stage.settings.epochs:
            self.on_train_end()

    def on_train_end(self) -> None:
        """Gather what was learned, while the strategy holds it."""
        self.learned = self.strategy.gather(trainable(self.model))

    def on_train_start(self) -> None:
        """Start the clock of the first step, and watch what the projector makes."""
        self._ended = time.perf_counter()
        self._visual_norm = torch.zeros(())
        for module in self.model.modules():
            if isinstance(module, Projector):  # PEFT keeps a second, which is never called
                module.register_forward_hook(self._measure)

    def training_step(self, step: Step) -> None:
        """All packs backward, then one clipped step. Raises NotFiniteError, with the samples' ids."""
        started = time.perf_counter()
        taken = self.trainer.global_step
        torch.manual_seed(self._dropout_seed())
        loss = torch.zeros((), device=self.device, dtype=torch.float32)
        for index, pack in enumerate(step.packs):
            with self.strategy.accumulating(last=index == len(step.packs) - 1):
                part = self.forward_wrapped(pack, labels=pack.labels, num_items_in_batch=step.supervised).loss
                self.manual_backward(part * self.trainer.world_size)  # ranks are averaged, not summed
            loss += part.detach()
        slots = sum(pack.input_ids.numel() for pack in step.packs)
        total, tokens, attended, samples, slots = self.strategy.all_reduce_sum(
            [loss.item(), step.tokens, step.attended, len(step.samples), slots]
        )
        if not math.isfinite(total):
            raise self._not_finite("loss", taken)
        optimizer, scheduler = cast("Any", self.optimizers()), cast("Any", self.lr_schedulers())
        learning_rate = scheduler.get_last_lr()[-1]
        norm = self.strategy.take_step(
            optimizer, list(trainable(self.model).values()), self.stage.settings.max_grad_norm
        )
        if not math.isfinite(norm):
            raise self._not_finite("gradient", taken)
        scheduler.step()
        waited = started - self._ended
        seconds, self._ended = time.perf_counter() - self._ended, time.perf_counter()
        numbers = {
            "loss": total,
            "learning_rate": learning_rate,
            "gradient_norm": norm,
            "visual_norm": float(self._visual_norm),
            "tokens_per_second": tokens / seconds,
            "samples_per_second": samples / seconds,
            "data_wait": waited / seconds,
            "padding": 1 - tokens / slots,
            "memory_gb": peak_memory(self.device) / 1e9,
        }
        if self.peak_teraflops:
            parts = self.flops.step(
                tokens=tokens, attended=attended, images=samples, supervised=step.supervised, checkpointing=False
            )
            peak = self.peak_teraflops * 1e12 * self.trainer.world_size
            numbers["mfu"] = sum(part.model for part in parts.values()) / seconds / peak
        self.numbers |= numbers
        if self.trainer.global_step % self.log_every == 0 or self.trainer.is_last_batch:
            self.record(numbers)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Callbacks come before this: what they took, validation and checkpoint, is none of the next step's time."""
        self._ended = time.perf_counter()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what is trained, where the first rank writes it; the rest comes from what the stage starts with."""
        checkpoint["state_dict"] = self.strategy.gather(trainable(self))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raise UserError where a checkpoint does not hold exactly what this stage trains."""
        differing = checkpoint["state_dict"].keys() ^ trainable(self).keys()
        if differing:
            raise UserError(f"the checkpoint does not fit the {self.stage.name} stage: {min(differing)} differs.")

    def record(self, numbers: dict[str, float]) -> None:
        """Log in the row of the steps taken: now, since Lightning does it after a checkpoint of this step."""
        self.numbers |= numbers
        taken = self.trainer.global_step
        for logger in self.loggers:
            logger.log_metrics({"epoch": self.data.order.epoch(taken - 1)} | numbers, taken)

    def on_device(self, batch: Any) -> Any:
        """A batch as Lightning gives it to a step."""
        converted = self.trainer.precision_plugin.convert_input(batch)
        return self.trainer.strategy.batch_to_device(converted)

    def _measure(self, _: nn.Module, inputs: Any, tokens: Float[Tensor, "images tokens hidden"]) -> None:
        self._visual_norm = tokens.detach().float().norm(dim=-1).mean()

    def _dropout_seed(self) -> int:
        """Dropout is keyed by step and rank, so that a resumed run needs no state of a generator."""
        key = np.random.SeedSequence([self.seed, self.trainer.global_step, self.global_rank])
        return int(key.generate_state(1)[0])

    def _not_finite(self, what: str, taken: int) -> NotFiniteError:
        """Names the samples of all ranks, since one of them speaks for all."""
        samples = self.data.training[self.data.order.step(taken)]
        ids = self.data.samples.ids(samples[:MAX_IDS_IN_MESSAGE])
        more = f" and {len(samples) - MAX_IDS_IN_MESSAGE} more" if len(samples) > MAX_IDS_IN_MESSAGE else ""
        return NotFiniteError(
            f"the {what} of {self.stage.name} step {taken + 1} is not finite. Its samples: "
            f"{', '.join(ids)}{more}. Lower {self.stage.name}.learning_rate, or look at these samples."
        )
