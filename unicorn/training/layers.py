"""The layers of the language model: checkpointed, or compiled, where they stand."""

from typing import cast

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import PreTrainedModel


def decoder_layers(module: nn.Module) -> list[GradientCheckpointingLayer]:
    """The layers of a language model, whatever is around it and within them, in order."""
    return [layer for layer in module.modules() if isinstance(layer, GradientCheckpointingLayer)]


def prepare_layers(module: nn.Module, *, checkpointing: bool, compiling: bool) -> None:
    """Have the layers compute their inner values again for the gradients, or be compiled, or both.

    Compiled is one layer, for all: they differ in their weights alone. Rows and their lengths change from pack to
    pack, and are left open in what is compiled.
    """
    if checkpointing:
        model = next(each for each in module.modules() if isinstance(each, PreTrainedModel))
        model.activation_checkpointing_enable({"use_reentrant": False})
        model.disable_input_require_grads()  # the visual tokens bring gradients; those of words would be for nothing
    if compiling:
        for layer in decoder_layers(module):
            cast("nn.Module", layer).compile(dynamic=True)
