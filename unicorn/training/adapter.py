"""What LoRA learned, as PEFT keeps it: adapters and projector apart from the language model, which stays as it was.

    config = UnicornConfig.from_pretrained("outputs/NAME/adapter")
    base = UnicornForConditionalGeneration(config, AutoModelForCausalLM.from_pretrained("ORG/LANGUAGE-MODEL"))
    model = PeftModel.from_pretrained(base, "outputs/NAME/adapter")

Merged into the language model's weights they are the run's `model/`; in float32 the two differ by rounding alone:
4e-6 in logits of up to 4 (tests/training/test_adapter.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

from unicorn.files import replacing
from unicorn.training.record import StageRecord

if TYPE_CHECKING:
    from transformers.configuration_utils import PreTrainedConfig

    from unicorn.training.tune import LoraTuneStage


def save_adapter(run: Path, stage: "LoraTuneStage", config: "PreTrainedConfig", language_model: str) -> None:
    """Write `run/adapter` from what the finished stage learned; the projector is among its modules_to_save.

    `language_model` is the one that it is an adapter of. Raises UserError where the system refuses (a full disk).
    """
    folder = run / "adapter"
    weights = load_file(StageRecord(run / stage.name).weights)
    with replacing(folder / "adapter_model.safetensors") as path:
        save_file({_saved(name): weight for name, weight in weights.items()}, path, metadata={"format": "pt"})
    adapter = stage.lora()
    adapter.base_model_name_or_path = language_model
    adapter.inference_mode = True
    adapter.save_pretrained(str(folder))
    config.save_pretrained(folder)


def _saved(name: str) -> str:
    """PEFT's name on the disk for one of its names in memory, which tell several adapters apart."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")
