"""The seam of the stages: what a stage is taught, which weights it changes, and by which recipe."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from unicorn.dataset.manifest import Part
from unicorn.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from unicorn.data.conversation import ConversationTokenizer
    from unicorn.data.samples import CaptionedSample
    from unicorn.dataset.reader import UnicornDataset
    from unicorn.model.modeling import UnicornForConditionalGeneration


@dataclass(kw_only=True)
class StageSettings:
    """The recipe that all stages share: AdamW without weight decay, warm-up, then a cosine to zero."""

    batch: int
    """Conversations in a step, over all devices."""
    learning_rate: float
    epochs: int = 1
    """0 leaves the weights as they are: `align.epochs=0` tunes with a projector that was never aligned."""
    warmup_ratio: float = 0.03
    """Share of the steps in which the learning rate rises."""
    max_grad_norm: float = 1.0
    """A gradient of the whole batch with a larger norm is scaled down to it."""

    def __post_init__(self) -> None:
        for key, least in (("batch", 1), ("epochs", 0)):
            if getattr(self, key) < least:
                raise UserError(f"{key}={getattr(self, key)} of a stage: must be at least {least}.")
        for field in fields(self):
            if field.name.endswith("learning_rate") and (rate := getattr(self, field.name)) < 0:
                raise UserError(f"{field.name}={rate} of a stage: a learning rate cannot be negative.")
        if not 0 <= self.warmup_ratio <= 1:
            raise UserError(f"warmup_ratio={self.warmup_ratio} of a stage: must be a share of its steps, 0 to 1.")
        if not self.max_grad_norm > 0:
            raise UserError(f"max_grad_norm={self.max_grad_norm} of a stage: must be above 0; inf clips nothing.")


class Stage(Protocol):
    """A stage of training. Stages differ in what is below; everything else is the same for all."""

    name: ClassVar[str]
    """Its folder in the run."""
    parts: ClassVar[tuple[Part, ...]]
    """The parts of the dataset that it reads."""
    follows: ClassVar[str | None]
    """The stage whose weights it starts from."""
    trains_language_model: ClassVar[bool]
    """Whether the language model's own weights learn."""

    @property
    def settings(self) -> StageSettings:
        """Its recipe."""
        ...

    def samples(self, dataset: "UnicornDataset", tokenizer: "ConversationTokenizer") -> "Iterable[CaptionedSample]":
        """What it is taught, in row order."""
        ...

    def prepare(self, model: "UnicornForConditionalGeneration") -> "nn.Module":
        """The module to train, in which exactly the weights to be trained require a gradient."""
        ...

    def parameter_groups(self, module: "nn.Module") -> list[dict[str, Any]]:
        """The weights to be trained, with their learning rates, as an optimiser takes them."""
        ...

    def finish(self, module: "nn.Module") -> "UnicornForConditionalGeneration":
        """The plain model again, with what was learned in it."""
        ...


def trainable(module: "nn.Module") -> "dict[str, nn.Parameter]":
    """The weights that require a gradient, by name; tied ones once."""
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
