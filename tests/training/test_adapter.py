"""What LoRA learned as a PEFT folder: on the pristine language model it answers as what was trained and merged."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.conftest import BRIEF, run_script
from tests.training.tiny import ALIGN, DIMENSION, LORA, Training, tiny_language_model
from train import train
from unicorn.hub import UnicornConfig, UnicornForConditionalGeneration
from unicorn.training.adapter import save_adapter

# PEFT 0.21 asks for gradient checkpointing by a name that transformers 5 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

TOLERANCE = 1e-5
"""Of float32 logits up to 4: (W + BA)x rounds otherwise than Wx + B(Ax). Measured: 4e-6 at most."""


@pytest.fixture(scope="module")
def tuned(training: Training) -> UnicornForConditionalGeneration:
    """Aligned, tuned by LoRA and merged, its adapter kept."""
    training.run("adapted", ALIGN, LORA)
    save_adapter(training.folder / "adapted", LORA.build(), training.trained.config, training.language_model)
    return training.trained.eval()


def unmerged(folder: Path, language_model: str) -> PeftModel:
    """As the docstring of unicorn/training/adapter.py has it."""
    config = UnicornConfig.from_pretrained(folder)
    base = UnicornForConditionalGeneration(
        config, AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32)
    )
    return PeftModel.from_pretrained(base, folder).eval()


def inputs(image_token: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(6, 20, (8, 12), generator=generator)  # no special one, nor the image token
    words[:, 1] = image_token
    return {"input_ids": words, "image_embeds": torch.randn(8, DIMENSION, generator=generator)}


@torch.no_grad()
def test_unmerged_and_merged_agree(training: Training, tuned: UnicornForConditionalGeneration) -> None:
    adapted = unmerged(training.folder / "adapted" / "adapter", training.language_model)
    given = inputs(tuned.config.image_token_id)
    apart, merged = adapted(**given).logits, tuned(**given).logits
    torch.testing.assert_close(apart, merged, atol=TOLERANCE, rtol=0)
    with adapted.disable_adapter():
        assert (adapted(**given).logits - merged).abs().max() > 1000 * TOLERANCE
    assert torch.allclose(adapted.merge_and_unload()(**given).logits, merged, atol=1e-6)


def test_it_is_what_peft_keeps(training: Training, tuned: UnicornForConditionalGeneration) -> None:
    folder = training.folder / "adapted" / "adapter"
    adapted = unmerged(folder, training.language_model)
    assert adapted.peft_config["default"].base_model_name_or_path == training.language_model
    assert adapted.peft_config["default"].modules_to_save == ["projector"]
    adapted.save_pretrained(training.folder / "by_peft")
    kept, by_peft = (load_file(path / "adapter_model.safetensors") for path in (folder, training.folder / "by_peft"))
    assert kept.keys() == by_peft.keys()
    assert all(torch.equal(kept[name], by_peft[name]) for name in kept)
    base = adapted.get_base_model().language_model.state_dict()
    for name, weight in tiny_language_model().state_dict().items():
        assert torch.equal(base.get(name, base.get(name.replace(".weight", ".base_layer.weight"))), weight), name


def test_train_keeps_it_with_the_run(small_dataset: Path, tmp_path: Path) -> None:
    short = ("model.projector_width=64", "model.visual_tokens=1", "align.epochs=0")
    run = tmp_path / "run"
    finished = run_script(train, f"dataset={small_dataset}", f"run={run}", "tune=lora_small", *short, *BRIEF)
    assert finished.code == 0, finished.err
    language_model = Path(__file__).parents[2] / "unicorn" / "scenes" / "weights" / "language_model"
    adapted = unmerged(run / "adapter", str(language_model))
    merged = UnicornForConditionalGeneration.from_pretrained(run / "model").eval()
    given = inputs(merged.config.image_token_id) | {"image_embeds": torch.randn(8, merged.config.embedding_dimension)}
    torch.testing.assert_close(adapted(**given).logits, merged(**given).logits, atol=1e-4, rtol=1e-4)
