"""FLOPs of a step, counted from the shapes of the matrices that a stage's module multiplies.

A matrix of n weights costs a token 2n FLOPs forward, 2n backward to its input, and 2n backward to itself where it is
trained: 4 a weight and token in a frozen language model, 6 in one that is tuned in full. Attention costs a pair of
tokens 4 FLOPs a channel forward and 8 backward; no half is taken off for causality, as in arXiv 2204.02311 and in
PyTorch's FlopCounterMode, with which these numbers agree.
"""

from dataclasses import astuple, dataclass
from math import prod
from typing import Any, cast

from torch import nn

from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.training.layers import decoder_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Flops:
    """Floating-point operations, a multiplication and an addition being two."""

    forward: float = 0
    to_inputs: float = 0
    """Backward to what a matrix was given."""
    to_weights: float = 0
    """Backward to the weights that are trained."""
    again: float = 0
    """Done a second time for the backward pass: checkpointed layers, and scores within fused attention."""

    @property
    def model(self) -> float:
        """What the method asks for: what model FLOPs utilisation is measured by."""
        return self.forward + self.to_inputs + self.to_weights

    @property
    def hardware(self) -> float:
        """What is executed."""
        return self.model + self.again

    def __add__(self, other: "Flops") -> "Flops":
        values = zip(self.__slots__, astuple(self), astuple(other), strict=True)
        return Flops(**{name: mine + its for name, mine, its in values})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlopCounter:
    """Weights of matrices by what they are multiplied with, and the channels of attention."""

    layers: int
    """Weights of the language model's layers."""
    layers_trained: int
    layers_again: int
    """Weights that a checkpointed layer multiplies again."""
    head: int
    head_trained: int
    projector: int
    projector_inputs: int
    """Weights of its linear layers but the first, which passes nothing back."""
    depth: int
    """Layers."""
    channels: int
    """Heads x width of a head x layers."""
    fused: bool
    """Whether attention keeps no scores, and makes them again."""

    @classmethod
    def of(cls, module: nn.Module) -> "FlopCounter":
        """Of a stage's prepared module, on any device."""
        model = next(each for each in module.modules() if isinstance(each, UnicornForConditionalGeneration))
        layers = decoder_layers(module)
        head = matrices(model.get_output_embeddings())
        projector = matrices(active(model.projector))
        by_layer = [matrices(layer) for layer in layers]
        config = cast("Any", model.language_model.config)
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            layers=sum(_numbers(each) for layer in by_layer for each in layer),
            layers_trained=sum(_numbers(each) for layer in by_layer for each in layer if each.requires_grad),
            # torch stops as soon as it has the last input that it needs: that of the last matrix.
            layers_again=sum(_numbers(each) for layer in by_layer for each in layer[:-1]),
            head=sum(_numbers(each) for each in head),
            head_trained=sum(_numbers(each) for each in head if each.requires_grad),
            projector=sum(_numbers(each) for each in projector),
            projector_inputs=sum(_numbers(each) for each in projector[1:]),
            depth=len(layers),
            channels=config.num_attention_heads * width * len(layers),
            fused=config._attn_implementation != "eager",
        )

    def step(
        self, *, tokens: float, attended: float, images: float, supervised: float, checkpointing: bool
    ) -> dict[str, Flops]:
        """FLOPs by part, for so many tokens, pairs of tokens that attention multiplies, images, supervised tokens."""
        pairs = self.channels * attended
        return {
            "layers": Flops(
                forward=2 * self.layers * tokens,
                to_inputs=2 * self.layers * tokens,
                to_weights=2 * self.layers_trained * tokens,
                again=2 * self.layers_again * tokens if checkpointing else 0,
            ),
            "attention": Flops(
                forward=4 * pairs,
                to_inputs=8 * pairs,
                again=(2 * pairs if self.fused else 0) + (4 * pairs if checkpointing else 0),
            ),
            "head": Flops(
                forward=2 * self.head * supervised,
                to_inputs=2 * self.head * supervised,
                to_weights=2 * self.head_trained * supervised,
            ),
            "projector": Flops(
                forward=2 * self.projector * images,
                to_inputs=2 * self.projector_inputs * images,
                to_weights=2 * self.projector * images,
            ),
        }


def matrices(module: nn.Module) -> list[nn.Parameter]:
    """The weights that inputs are multiplied with, in the order of the modules; an embedding is looked up instead."""
    return [
        weight
        for each in module.modules()
        if not isinstance(each, nn.Embedding)
        for weight in each.parameters(recurse=False)
        if weight.ndim == 2
    ]


def active(module: nn.Module) -> nn.Module:
    """What PEFT trains in the place of a module, or the module itself."""
    saved = getattr(module, "modules_to_save", None)  # asked so, since to import PEFT takes seconds
    return module if saved is None else saved[cast("Any", module).active_adapters[0]]


def _numbers(weight: nn.Parameter) -> int:
    """How many a weight has; in 4 bits, where two are kept in a byte, of what it stands for."""
    state = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else prod(state.shape)
