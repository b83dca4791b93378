"""Memory of each device by part, for each way to share the work."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from unicorn.training.layers import decoder_layers
from unicorn.training.plan.activations import Activations
from unicorn.training.trainer import DEEPSPEED, Precision, Strategy

NF4 = 0.5 + (1 + 4 / 256) / 64
"""Bytes of a weight: four bits, and a byte to scale 64 by, itself scaled in blocks of 256 (arXiv 2305.14314)."""
MOMENTS = 2
"""What AdamW keeps of a weight, in the weight's type."""
BUCKET = 500_000_000
"""Gradients that DeepSpeed gathers before it reduces them, by its default; with ZeRO-2 in two buffers, there always."""
LIVE = 1_000_000_000
"""Weights that DeepSpeed's ZeRO-3 keeps gathered, by its default."""
SHARDED = (Strategy.zero3, Strategy.fsdp2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What memory depends on besides the model and the samples."""

    strategy: Strategy
    offload: bool
    gpus: int
    precision: Precision
    gradient_checkpointing: bool
    load_in_4bit: bool
    rows_per_pack: int
    fused_optimizer: bool

    @property
    def devices(self) -> int:
        """Devices that the strategy uses."""
        return 1 if self.strategy is Strategy.single else self.gpus

    @property
    def computed(self) -> Precision:
        """What the model computes in: weights cast by what shards them need no autocast."""
        sharded = self.strategy in DEEPSPEED or self.strategy is Strategy.fsdp2
        return Precision.bf16 if sharded and self.precision is Precision.bf16_mixed else self.precision

    @property
    def held(self) -> Precision:
        """What weights lie in: FSDP2 keeps them as they were loaded, and gathers them in bfloat16."""
        return Precision.float32 if self.strategy is Strategy.fsdp2 else self.computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one device at its fullest; `cpu` is what it keeps in the machine's own memory."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    transient: float
    """Gathered weights, buckets of gradients, and what lives for a moment of the step."""
    cpu: float

    @property
    def total(self) -> float:
        """On the device."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.transient


def memory(module: nn.Module, activations: Activations, case: Case) -> Memory:
    """Of a stage's prepared module, in the types that `case` holds it in."""
    cast = case.computed is Precision.bf16 and case.held is not Precision.bf16
    layers = decoder_layers(module)
    frozen_linear = {
        each.weight
        for layer in layers
        for each in layer.modules()
        if case.load_in_4bit and isinstance(each, nn.Linear) and not each.weight.requires_grad
    }
    count = _counter(lambda weight: 1)
    size = _counter(lambda weight: NF4 if weight in frozen_linear else weight.itemsize)
    gradient = _counter(lambda weight: weight.itemsize if weight.requires_grad else 0)

    weights, gradients = size(module), gradient(module)
    trained = sum(weight.numel() for weight in weights_of(module) if weight.requires_grad)
    optimizer = MOMENTS * gradients
    layer = max(size(each) for each in layers)
    gathered = buckets = 0.0
    if case.strategy in DEEPSPEED:
        itemsize = gradients / trained
        gradients = 4 * trained  # summed in float32
        optimizer = 4 * (1 + MOMENTS) * trained  # likewise, the weights themselves besides
        buckets = itemsize * BUCKET * (2 if case.strategy is Strategy.zero2 else 1)
    if case.strategy is Strategy.ddp:
        buckets = gradients
    if case.strategy is Strategy.zero3:
        gathered = max(layer, weights * min(1, LIVE / count(module)))
    if case.strategy is Strategy.fsdp2:  # the root's own weights stay; one layer is used while the next is gathered
        used = _counter(lambda weight: 2 if cast else weight.itemsize)
        gathered = used(module) - sum(used(each) for each in layers) + 2 * max(used(each) for each in layers)
        buckets = 2 * max(gradient(each) for each in layers)
    if frozen_linear:
        gathered += 2 * max(weight.numel() for weight in frozen_linear)  # one matrix, in bfloat16, to multiply with

    share = case.devices
    held = weights / share if case.strategy in SHARDED else weights
    gradients /= share if case.strategy in (*DEEPSPEED, Strategy.fsdp2) else 1
    optimizer /= share if case.strategy in (*DEEPSPEED, Strategy.fsdp2) else 1
    passing = activations.transient + gathered + buckets
    # AdamW, unless in one kernel, makes a tensor of each gradient's size when the activations are gone.
    stepping = 0 if case.fused_optimizer or case.strategy in DEEPSPEED else gradients
    return Memory(
        weights=held,
        gradients=0 if case.offload else gradients,
        optimizer=0 if case.offload else optimizer,
        activations=activations.kept,
        logits=activations.logits,
        transient=max(passing, stepping - activations.kept - activations.logits),
        cpu=gradients + optimizer if case.offload else 0,
    )


def weights_of(module: nn.Module) -> list[nn.Parameter]:
    """The weights, tied ones once, without those that PEFT keeps aside of a module that it trains a copy of."""
    return [weight for name, weight in module.named_parameters() if ".original_module." not in name]


def _counter(size: Callable[[nn.Parameter], float]) -> Callable[[nn.Module], float]:
    """Sums `size`, bytes of an element, over a module's weights, tied ones once. Buffers are too small to count."""
    return lambda module: sum(size(weight) * weight.numel() for weight in module.parameters())
