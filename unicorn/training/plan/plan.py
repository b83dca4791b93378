"""The plan of a training: each stage's parameters, tokens, FLOPs, memory and hours, from shapes alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from unicorn.config import Config
from unicorn.data.settings import DataSettings
from unicorn.model.settings import Attention, ModelSettings
from unicorn.training.plan.activations import Activations, trace
from unicorn.training.plan.card import CARDS, Card
from unicorn.training.plan.flops import FlopCounter, Flops
from unicorn.training.plan.memory import Case, Memory, memory, weights_of
from unicorn.training.plan.remedy import Change, remedy
from unicorn.training.plan.settings import PlanSettings, StatedWork
from unicorn.training.plan.workload import StepWork, Workload, workload
from unicorn.training.stage import Stage
from unicorn.training.trainer import DEEPSPEED, Precision, Strategy, TrainerSettings

MASKED = (Attention.sdpa, Attention.eager)
"""Attention that multiplies all pairs of a row's tokens, and masks those of two samples; others skip them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """The FLOPs of a step over all devices, and what all steps take at the stated utilisation."""

    step: StepWork
    useful: Flops
    """For the samples' own tokens."""
    parts: dict[str, Flops]
    """By part of the model, with padding and with what attention masks between samples of a row."""
    seconds: float
    mfu: float
    """Model FLOPs utilisation: the stated one, less what is computed again, padded or masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What one stage would take."""

    name: str
    trainable: int
    frozen: int
    workload: Workload
    steps: int
    """Of all epochs."""
    memories: dict[Case, Memory]
    """Of the ways to share the work, the chosen one first."""
    time: StageTime
    change: Change | None
    """What makes the chosen way fit: nothing where it does, None where no option that is known does."""
    time_changed: StageTime
    """With that change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training would take on so many cards."""

    card: Card
    gpus: int
    capacity: float
    """Bytes of a card that a training may take."""
    stages: list[StagePlan]


def plan(config: Config, stages: Sequence[Stage]) -> Plan:
    """Plan `stages` of the training that `config` asks for. Raises UserError if its language model is not found."""
    settings: PlanSettings = config.planning
    card = CARDS[settings.gpu]
    capacity = card.gigabytes * 1e9 * (1 - settings.headroom)
    planners = [
        StagePlanner(
            stage=stage,
            model=config.model,
            dimension=config.encoder.dimension,
            data=config.data,
            trainer=config.trainer,
            stated=getattr(settings, stage.name),
            dataset=Path(config.dataset),
        )
        for stage in stages
    ]
    return Plan(
        card=card,
        gpus=settings.gpus,
        capacity=capacity,
        stages=[each.plan(card, settings.gpus, capacity) for each in planners],
    )


@dataclass(kw_only=True)
class StagePlanner:
    """Plans one stage; the module is made, and its activations are traced, once for each of their kinds."""

    stage: Stage
    model: ModelSettings
    dimension: int
    data: DataSettings
    trainer: TrainerSettings
    stated: StatedWork
    dataset: Path

    def __post_init__(self) -> None:
        self._modules: dict[Precision, nn.Module] = {}
        self._activations: dict[tuple[Precision, bool, int], Activations] = {}

    def plan(self, card: Card, gpus: int, capacity: float) -> StagePlan:
        """The stage on so many cards."""
        chosen = self.asked(gpus)
        others = [
            replace(chosen, strategy=strategy, offload=offload)
            for strategy in Strategy
            for offload in ((False, True) if strategy in DEEPSPEED else (False,))
        ]
        weights = weights_of(self._module(chosen.precision))
        time = self.time(chosen, card)
        change = remedy(chosen, self.memory, capacity, quantizable=not self._counter.head_trained)
        return StagePlan(
            name=self.stage.name,
            trainable=sum(weight.numel() for weight in weights if weight.requires_grad),
            frozen=sum(weight.numel() for weight in weights if not weight.requires_grad),
            workload=self.workload,
            steps=self.steps,
            memories={case: self.memory(case) for case in dict.fromkeys([chosen, *others])},
            time=time,
            change=change,
            time_changed=self.time(replace(chosen, **change), card) if change else time,
        )

    def asked(self, gpus: int) -> Case:
        """What the settings ask for, on so many cards."""
        return Case(
            strategy=self.trainer.strategy,
            offload=self.trainer.offload,
            gpus=gpus,
            precision=self.trainer.precision,
            gradient_checkpointing=self.trainer.gradient_checkpointing,
            load_in_4bit=self.model.load_in_4bit,
            rows_per_pack=self.data.rows_per_pack,
            fused_optimizer=self.trainer.fused_optimizer,
        )

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.workload.steps(self.stage.settings.batch) * self.stage.settings.epochs

    def time(self, case: Case, card: Card) -> StageTime:
        """The FLOPs of a step, and how long all of them take."""
        data = replace(self.data, rows_per_pack=case.rows_per_pack)
        step, _ = self.workload.step(self.stage.settings.batch, data, case.devices)
        common = {"images": step.images, "supervised": step.supervised}
        checkpointing = case.gradient_checkpointing
        useful = self._counter.step(tokens=step.tokens, attended=step.attended, **common, checkpointing=checkpointing)
        attended = step.slots_attended if self.model.attention in MASKED else step.attended
        parts = self._counter.step(tokens=step.slots, attended=attended, **common, checkpointing=checkpointing)
        executed = sum(parts.values(), Flops()).hardware
        return StageTime(
            step=step,
            useful=sum(useful.values(), Flops()),
            parts=parts,
            seconds=self.steps * executed / (case.devices * card.teraflops * 1e12 * self.stated.mfu),
            mfu=self.stated.mfu * sum(useful.values(), Flops()).model / executed,
        )

    @cached_property
    def _counter(self) -> FlopCounter:
        return FlopCounter.of(self._module(self.trainer.precision))

    @cached_property
    def workload(self) -> Workload:
        """What the stage reads."""
        return workload(self.stage, self.stated, self.model, self.dataset, self.data.row_length)

    def memory(self, case: Case) -> Memory:
        """Of one device."""
        return memory(self._module(case.held), self._traced(case), case)

    def _module(self, precision: Precision, layers: int | None = None) -> nn.Module:
        """What the stage trains, on the meta device."""
        if layers is None and precision in self._modules:
            return self._modules[precision]
        with torch.device("meta"):
            module = self.stage.prepare(self.model.skeleton(self.dimension, layers)).train()
        if precision is Precision.bf16:
            module.to(torch.bfloat16)
        if layers is None:
            self._modules[precision] = module
        return module

    def _traced(self, case: Case) -> Activations:
        """The activations of the largest pack: of one layer and of two, and from their difference of all."""
        precision = case.computed
        key = (precision, case.gradient_checkpointing, case.rows_per_pack)
        if key not in self._activations:
            data = replace(self.data, rows_per_pack=case.rows_per_pack)
            _, shape = self.workload.step(self.stage.settings.batch, data, 1)
            one, two = (
                trace(
                    self._module(precision, layers),
                    shape,
                    mixed=precision is Precision.bf16_mixed,
                    checkpointing=case.gradient_checkpointing,
                    packed=self.model.attention in MASKED,
                )
                for layers in (1, 2)
            )
            self._activations[key] = one.deeper(two, self._counter.depth - 2)
        return self._activations[key]
