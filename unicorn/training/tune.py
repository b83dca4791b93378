"""The second stage: projector and language model learn to follow instructions, by LoRA or in full."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from unicorn.dataset.manifest import Part
from unicorn.training.stage import StageSettings, trainable

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn

    from unicorn.data.conversation import ConversationTokenizer
    from unicorn.data.samples import CaptionedSample
    from unicorn.dataset.reader import UnicornDataset
    from unicorn.model.modeling import UnicornForConditionalGeneration


@dataclass(kw_only=True)
class TuneSettings(StageSettings):
    """What both ways of tuning share."""

    batch: int = 64
    projector_learning_rate: float = 2e-5


@dataclass(kw_only=True)
class LoraTuneSettings(TuneSettings):
    """Low-rank adapters in every linear layer of the language model (arXiv 2106.09685), merged at the end."""

    learning_rate: float = 2e-4
    rank: int = 128
    alpha: int = 256
    dropout: float = 0.05

    def build(self) -> "LoraTuneStage":
        """The stage."""
        return LoraTuneStage(self)


@dataclass(kw_only=True)
class FullTuneSettings(TuneSettings):
    """Every weight of the language model, the paper's recipe (arXiv 2503.22655)."""

    learning_rate: float = 1e-5
    projector_learning_rate: float = 1e-5

    def build(self) -> "FullTuneStage":
        """The stage."""
        return FullTuneStage(self)


class TuneStage(ABC):
    """Conversations about an image; it starts from the projector that align trained."""

    name: ClassVar[str] = "tune"
    parts: ClassVar[tuple[Part, ...]] = (Part.CAPTIONS, Part.EMBEDDINGS, Part.INSTRUCTIONS)
    follows: ClassVar[str | None] = "align"
    trains_language_model: ClassVar[bool]

    def __init__(self, settings: TuneSettings) -> None:
        self.settings = settings

    def samples(self, dataset: "UnicornDataset", tokenizer: "ConversationTokenizer") -> "Iterable[CaptionedSample]":
        """Every instruction as a conversation."""
        from unicorn.data.samples import instruction_samples

        return instruction_samples(dataset, tokenizer)

    def parameter_groups(self, module: "nn.Module") -> list[dict[str, Any]]:
        """Two groups: the projector, and what is trained of the language model."""
        weights = trainable(module)
        projector = [weight for name, weight in weights.items() if "projector" in name.split(".")]
        language_model = [weight for name, weight in weights.items() if "projector" not in name.split(".")]
        return [
            {"params": projector, "lr": self.settings.projector_learning_rate},
            {"params": language_model, "lr": self.settings.learning_rate},
        ]

    @abstractmethod
    def prepare(self, model: "UnicornForConditionalGeneration") -> "nn.Module":
        """The module to train."""

    @abstractmethod
    def finish(self, module: "nn.Module") -> "UnicornForConditionalGeneration":
        """The plain model again."""


class LoraTuneStage(TuneStage):
    """Trains adapters beside frozen layers."""

    trains_language_model: ClassVar[bool] = False
    settings: LoraTuneSettings

    def prepare(self, model: "UnicornForConditionalGeneration") -> "nn.Module":
        """The model within a PEFT model, which also trains the projector."""
        from peft import get_peft_model

        with warnings.catch_warnings():
            # PEFT 0.21 asks for gradient checkpointing by a name that transformers 5 deprecates.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            return get_peft_model(model, self.lora())

    def lora(self) -> "LoraConfig":
        """The settings as PEFT has them."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,
            lora_dropout=self.settings.dropout,
            target_modules="all-linear",
            exclude_modules=r"projector\..*",
            modules_to_save=["projector"],
        )

    def finish(self, module: "nn.Module") -> "UnicornForConditionalGeneration":
        """The model with the adapters merged into its weights, which are no longer quantised if they were."""
        from peft import PeftModel

        adapted = cast("PeftModel", module)
        cast("UnicornForConditionalGeneration", adapted.get_base_model()).dequantize()
        return cast("UnicornForConditionalGeneration", adapted.merge_and_unload())


class FullTuneStage(TuneStage):
    """Trains everything."""

    trains_language_model: ClassVar[bool] = True
    settings: FullTuneSettings

    def prepare(self, model: "UnicornForConditionalGeneration") -> "nn.Module":
        """The model, nothing frozen."""
        model.requires_grad_(True)
        return model

    def finish(self, module: "nn.Module") -> "UnicornForConditionalGeneration":
        """The same model."""
        return cast("UnicornForConditionalGeneration", module)
