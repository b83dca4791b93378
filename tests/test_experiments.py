"""Each experiment says what the paper (arXiv 2503.22655) and the code it was made with say."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig

from tests.conftest import composed
from unicorn.command import CONF
from unicorn.config import Config, load_config, save_config
from unicorn.model.configuration import UnicornConfig
from unicorn.model.projector import Projector

EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
PAPER: dict[str, Any] = {
    "encoder.checkpoint": "microsoft/LLM2CLIP-Openai-L-14-336",
    "encoder.dimension": 1280,
    "model.language_model": "meta-llama/Meta-Llama-3-8B-Instruct",
    "model.projector_layers": 2,
    "model.projector_width": None,  # the language model's
    "model.visual_tokens": 1,
    "model.visual_mode": "learned",
    "model.chat_template": None,  # the language model's
    "model.dtype": "bfloat16",
    "transfer.normalise": True,
    "data.row_length": 2048,
    "data.workers": 2,
    "validation.every": 500,
    "align.learning_rate": 5e-4,
    "align.batch": 256,
    "align.epochs": 1,
    "align.warmup_ratio": 0.03,
    "tune.batch": 64,
    "tune.epochs": 1,
    "tune.warmup_ratio": 0.03,
    "trainer.precision": "bf16_mixed",
    "trainer.gradient_checkpointing": False,
    "trainer.fused_optimizer": True,
    "trainer.offload": False,
}
LORA: dict[str, Any] = {
    "tune.rank": 128,
    "tune.alpha": 256,
    "tune.dropout": 0.05,
    "tune.learning_rate": 2e-4,
    "tune.projector_learning_rate": 2e-5,
    "trainer.strategy": "zero2",
}
FULL: dict[str, Any] = {
    "tune.learning_rate": 1e-5,
    "tune.projector_learning_rate": 1e-5,
    "trainer.strategy": "zero3",
    "trainer.checkpoint_every": 1000,
}
PUBLISHED: dict[str, Any] = {
    "model.visual_tokens": 576,
    "model.visual_mode": "repeated",
    "model.chat_template": "package:unicorn.data/chat_templates/vicuna.jinja",
}


def value(config: Config, key: str) -> Any:
    group, name = key.split(".")
    return getattr(getattr(config, group), name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unicorn8b", PAPER | LORA),
        ("unicorn8b_full", PAPER | FULL),
        ("unicorn8b_published", PAPER | LORA | PUBLISHED),
    ],
)
def test_the_papers_hyper_parameters(name: str, expected: dict[str, Any]) -> None:
    config = composed(f"experiment={name}")
    assert {key: value(config, key) for key in expected} == expected
    assert (config.name, config.run, config.dataset) == (name, f"outputs/{name}", "data/unicorn")
    assert len(config.model.revision) == 40
    assert hasattr(config.tune, "rank") == ("tune.rank" in expected)


def test_the_papers_projector() -> None:
    settings = composed("experiment=unicorn8b").model
    config = UnicornConfig(
        text_config=LlamaConfig(hidden_size=4096),
        embedding_dimension=1280,
        projector_layers=settings.projector_layers,
        projector_width=settings.projector_width,
        visual_tokens=settings.visual_tokens,
        visual_mode=settings.visual_mode,
    )
    with torch.device("meta"):
        first, activation, second = Projector(config).layers
    assert (first.in_features, first.out_features) == (1280, 4096)
    assert isinstance(activation, nn.GELU)
    assert (second.in_features, second.out_features) == (4096, 4096)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_saved_and_read_back(name: str, tmp_path: Any) -> None:
    config = composed(f"experiment={name}")
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_smollm_reads_the_embedded_world() -> None:
    ours, scenes = composed("experiment=smollm"), composed()
    assert ours.model.language_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert len(ours.model.revision) == 40
    assert (ours.name, ours.dataset) == ("smollm", scenes.dataset)
    assert (ours.synthesis, ours.encoder, ours.seeds) == (scenes.synthesis, scenes.encoder, scenes.seeds)


def test_what_the_command_line_says_goes_before_the_experiment() -> None:
    config = composed("experiment=smollm", "model=smollm2_135m_gguf", "align.batch=8")
    assert config.model.gguf_file == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert config.model.visual_tokens == composed("experiment=smollm").model.visual_tokens
    assert config.align.batch == 8
    assert composed("experiment=unicorn8b", "name=mine", "tune=full").run == "outputs/mine"
