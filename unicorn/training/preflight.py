"""What would end a training, however late, found before its first step and without weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unicorn.data.chat_template import ChatTemplate
from unicorn.dataset.manifest import Part
from unicorn.dataset.reader import UnicornDataset
from unicorn.errors import UserError
from unicorn.model.settings import ModelSettings
from unicorn.training.stage import Stage
from unicorn.training.trainer import TrainerSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def require(
    stages: Sequence[Stage],
    *,
    model: ModelSettings,
    tokenizer: "PreTrainedTokenizerFast",
    dataset: UnicornDataset,
    trainer: TrainerSettings,
) -> None:
    """Raise UserError if one of the stages that are to be trained cannot be, by its settings or by what is there.

    All are asked before the first begins: a mistake of tune's would be told after the hours of align otherwise.
    """
    for stage in stages:
        for part in stage.parts:
            entry = dataset.manifest.parts.get(part)
            if entry is None or not entry.complete:
                state = "unfinished" if entry else "missing"
                raise UserError(
                    f"{stage.name} learns from {part}, and those of {dataset.path} are {state}. Make them by `python "
                    f"synthesize.py dataset={dataset.path} stages=[{part}]` and an llm=, or leave {stage.name} out of "
                    "stages."
                )
        if Part.INSTRUCTIONS in stage.parts:
            ChatTemplate(tokenizer)
        trainer.require(stage, model)
        if model.load_in_4bit and stage.trains_language_model:
            raise UserError("model.load_in_4bit=true: 4-bit weights cannot learn. Choose tune=lora.")
