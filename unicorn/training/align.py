"""The first stage: the projector learns, from captions, to speak to a language model that does not change."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from unicorn.dataset.manifest import Part
from unicorn.training.stage import StageSettings, trainable

if TYPE_CHECKING:
    from torch import nn

    from unicorn.data.conversation import ConversationTokenizer
    from unicorn.data.samples import CaptionedSample
    from unicorn.dataset.reader import UnicornDataset
    from unicorn.model.modeling import UnicornForConditionalGeneration


@dataclass(kw_only=True)
class AlignSettings(StageSettings):
    """The paper's recipe (arXiv 2503.22655): the projector alone, one epoch."""

    batch: int = 256
    learning_rate: float = 5e-4

    def build(self) -> "AlignStage":
        """The stage."""
        return AlignStage(self)


class AlignStage:
    """Image to caption; every weight but the projector's stays bit for bit as it was."""

    name: ClassVar[str] = "align"
    parts: ClassVar[tuple[Part, ...]] = (Part.CAPTIONS, Part.EMBEDDINGS)
    follows: ClassVar[str | None] = None
    trains_language_model: ClassVar[bool] = False

    def __init__(self, settings: AlignSettings) -> None:
        self.settings = settings

    def samples(self, dataset: "UnicornDataset", tokenizer: "ConversationTokenizer") -> "Iterable[CaptionedSample]":
        """Every caption in the plain form."""
        from unicorn.data.samples import caption_samples

        return caption_samples(dataset, tokenizer)

    def prepare(self, model: "UnicornForConditionalGeneration") -> "nn.Module":
        """The model with all but the projector frozen."""
        model.requires_grad_(False)
        model.projector.requires_grad_(True)
        return model

    def parameter_groups(self, module: "nn.Module") -> list[dict[str, Any]]:
        """One group: the projector."""
        return [{"params": list(trainable(module).values()), "lr": self.settings.learning_rate}]

    def finish(self, module: "nn.Module") -> "UnicornForConditionalGeneration":
        """The same model."""
        return cast("UnicornForConditionalGeneration", module)
