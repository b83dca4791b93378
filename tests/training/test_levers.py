"""The levers of speed: what they claim to leave as it is stays, and what they claim to change does."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from torch._dynamo.utils import counters
from transformers import BitsAndBytesConfig

from tests.training.tiny import ALIGN, DIMENSION, FULL, LORA, Training, save_language_model
from unicorn.errors import UserError
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.model.settings import Dtype, ModelSettings
from unicorn.training.layers import prepare_layers
from unicorn.training.trainer import Precision, TrainerSettings


def prepared(training: Training, settings: Any, **levers: bool) -> torch.nn.Module:
    """A stage's module in which everything that learns has moved a little, so that no gradient is zero."""
    model, _ = training.model()
    module = settings.build().prepare(model).train()
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        if weight.requires_grad:
            weight.data += 0.01 * torch.randn(weight.shape, generator=generator)
    prepare_layers(module, **{"checkpointing": False, "compiling": False} | levers)
    return module


def packs(training: Training) -> list[dict[str, torch.Tensor]]:
    """Packs of several shapes, two samples to a row where it is long enough."""
    _, tokenizer = training.model()
    made: list[dict[str, torch.Tensor]] = []
    for rows, length in ((1, 5), (2, 9), (3, 14), (1, 7), (4, 20)):
        ids = torch.randint(4, 20, (rows, length), generator=torch.Generator().manual_seed(length))
        ids[:, 1] = tokenizer.image_token_id
        positions = torch.arange(length).repeat(rows, 1)
        if length > 8:
            positions[:, 6:] = torch.arange(length - 6)
        labels = ids.masked_fill(ids == tokenizer.image_token_id, -100)
        made.append({"input_ids": ids, "position_ids": positions, "labels": labels})
    return made


def losses_and_gradients(training: Training, module: torch.nn.Module) -> tuple[list[float], dict[str, torch.Tensor]]:
    losses: list[float] = []
    for pack in packs(training):
        torch.manual_seed(1)  # of dropout
        images = torch.ones(len(pack["labels"]), DIMENSION)
        loss = module(**pack, image_embeds=images, use_cache=False).loss
        loss.backward()
        losses.append(loss.item())
    return losses, {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}


def saved_bytes(training: Training, module: torch.nn.Module) -> int:
    """What a forward pass keeps for the backward pass."""
    total = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(**packs(training)[-1], image_embeds=torch.ones(4, DIMENSION), use_cache=False)
    return total


@pytest.mark.parametrize("settings", [ALIGN, LORA, FULL])
def test_gradient_checkpointing_changes_nothing_but_memory(training: Training, settings: Any) -> None:
    plain = prepared(training, settings)
    losses, gradients = losses_and_gradients(training, plain)
    checkpointed = prepared(training, settings, checkpointing=True)
    others, other_gradients = losses_and_gradients(training, checkpointed)
    assert others == losses
    assert gradients.keys() == other_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(other_gradients[name], gradient, atol=1e-6, rtol=1e-6)
    assert saved_bytes(training, checkpointed) < saved_bytes(training, plain) / 2


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("settings", [ALIGN, replace(LORA, dropout=0.0)])  # compiled code draws other dropout
def test_compiled_layers_change_nothing_and_are_compiled_once_for_all_shapes(
    training: Training, settings: Any, checkpointing: bool
) -> None:
    losses, gradients = losses_and_gradients(training, prepared(training, settings))
    torch._dynamo.reset()
    counters.clear()
    compiled = prepared(training, settings, checkpointing=checkpointing, compiling=True)
    others, other_gradients = losses_and_gradients(training, compiled)
    assert others == pytest.approx(losses, abs=1e-5)
    assert gradients.keys() == other_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(other_gradients[name], gradient, atol=1e-5, rtol=1e-4)
    assert counters["stats"]["unique_graphs"] == 2  # with a mask between samples, and without
    assert not counters["graph_break"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_a_stage_trains_with_compiled_layers(training: Training) -> None:
    plain = training.run("plain", ALIGN)
    trainer = TrainerSettings(accelerator="cpu", compile=True)
    compiled = training.run("compiled", ALIGN, trainer=trainer)
    assert compiled["align/loss"] == pytest.approx(plain["align/loss"], abs=1e-4)


@pytest.mark.parametrize("lever", ["fused_optimizer", "gradient_checkpointing"])
def test_a_stage_learns_the_same_with_a_lever(training: Training, lever: str) -> None:
    training.run("plain", ALIGN, LORA)
    trainer = TrainerSettings(accelerator="cpu", **{lever: True})
    training.run(lever, ALIGN, LORA, trainer=trainer)
    for stage in ("align", "tune"):
        weights = training.weights("plain", stage)
        others = training.weights(lever, stage)
        assert weights.keys() == others.keys()
        for name, weight in weights.items():
            torch.testing.assert_close(others[name], weight, atol=1e-5, rtol=1e-4)


def test_the_optimizer_is_fused_where_asked(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    fused: list[bool | None] = []
    from unicorn.training import module

    def adam(groups: Any, **settings: Any) -> torch.optim.AdamW:
        fused.append(settings["fused"])
        return torch.optim.AdamW(groups, **settings)

    monkeypatch.setattr(module, "AdamW", adam)
    training.run("unasked", ALIGN)
    training.run("asked", ALIGN, trainer=TrainerSettings(accelerator="cpu", fused_optimizer=True))
    assert fused == [None, True]


class HalfTraining(Training):
    """With a language model in bfloat16."""

    model_settings: ClassVar[dict[str, Any]] = {"dtype": Dtype.bfloat16}


@pytest.mark.parametrize(
    ("settings", "precision", "learned"),
    [
        (LORA, Precision.bf16_mixed, torch.float32),
        (LORA, Precision.bf16, torch.bfloat16),
        (FULL, Precision.bf16, torch.bfloat16),
    ],
)
def test_precision_says_the_type_of_what_learns(
    training: Training, precision: Precision, learned: torch.dtype, settings: Any
) -> None:
    half = HalfTraining(training.folder)
    before, _ = half.model()
    name = f"{precision}-{type(settings).__name__}"
    metrics = half.run(name, ALIGN, settings, trainer=TrainerSettings(accelerator="cpu", precision=precision))
    assert {weight.dtype for weight in half.weights(name, "align").values()} == {learned}
    tuned = half.weights(name, "tune")
    assert {weight.dtype for key, weight in tuned.items() if "projector" in key} == {learned}
    assert {weight.dtype for key, weight in tuned.items() if "projector" not in key} == {learned}
    assert half.trained.language_model.dtype == torch.bfloat16
    rotary = "language_model.model.rotary_emb.inv_freq"
    assert torch.equal(dict(half.trained.named_buffers())[rotary], dict(before.named_buffers())[rotary])
    losses = [float(loss.split()[0]) for loss in half.losses(name, "tune").values()]
    assert any(
        torch.tensor(loss).bfloat16().item() != torch.tensor(loss).item() for loss in losses
    )  # summed in float32
    exact = training.run(f"exact-{type(settings).__name__}", ALIGN, settings)
    assert metrics["tune/validation/loss"] == pytest.approx(exact["tune/validation/loss"], rel=0.1)


def test_adamw_rounds_small_steps_away_in_bfloat16_alone() -> None:
    def moved(dtype: torch.dtype) -> float:
        weight = torch.nn.Parameter(torch.full((100,), 0.02, dtype=dtype))
        optimizer = torch.optim.AdamW([weight], lr=1e-5, weight_decay=0.0)
        for _ in range(100):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        return (weight - torch.full_like(weight, 0.02)).abs().max().item()

    assert moved(torch.float32) == pytest.approx(100 * 1e-5, rel=0.01)
    assert moved(torch.bfloat16) == 0


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def packaged(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A stand-in for a package."""
    module = ModuleType(name)
    module.__dict__.update(content)
    module.__spec__ = type("Spec", (), {"name": name})()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(
    ("lever", "line"),
    [
        ("load_in_4bit", r"model\.load_in_4bit=true needs a package that is not here, bitsandbytes: pip .*\[4bit\]"),
        ("liger_kernels", r"model\.liger_kernels=true needs a package that is not here, liger_kernel: pip .*\[liger\]"),
    ],
)
def test_a_missing_extra_is_one_line(training: Training, lever: str, line: str) -> None:
    with pytest.raises(UserError, match=line):
        training.model(**{lever: True})


@pytest.mark.parametrize(("lever", "package"), [("load_in_4bit", "bitsandbytes"), ("liger_kernels", "liger_kernel")])
def test_a_missing_gpu_is_one_line(
    training: Training, monkeypatch: pytest.MonkeyPatch, lever: str, package: str
) -> None:
    packaged(monkeypatch, package)
    with pytest.raises(UserError, match=rf"model\.{lever}=true needs a CUDA device, and there is none here"):
        training.model(**{lever: True})


@pytest.mark.usefixtures("cuda")
def test_liger_is_applied_to_the_language_model_and_leaves_the_loss(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[tuple[str, dict[str, bool]]] = []
    packaged(monkeypatch, "liger_kernel")
    packaged(
        monkeypatch,
        "liger_kernel.transformers",
        _apply_liger_kernel_to_instance=lambda model, **which: applied.append((type(model).__name__, which)),
    )
    packaged(monkeypatch, "liger_kernel.transformers.monkey_patch", MODEL_TYPE_TO_APPLY_LIGER_FN={"llama": None})
    training.model(liger_kernels=True)
    assert applied == [("LlamaForCausalLM", {"cross_entropy": False, "fused_linear_cross_entropy": False})]
    packaged(monkeypatch, "liger_kernel.transformers.monkey_patch", MODEL_TYPE_TO_APPLY_LIGER_FN={})
    with pytest.raises(UserError, match=r"model\.liger_kernels=true: Liger has no kernels for llama"):
        training.model(liger_kernels=True)


@pytest.mark.usefixtures("cuda")
def test_4bit_weights_are_nf4_twice_quantised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[BitsAndBytesConfig] = []
    packaged(monkeypatch, "bitsandbytes")

    class LoadedError(Exception):
        pass

    def load(*_: Any, quantization_config: BitsAndBytesConfig, **__: Any) -> None:
        asked.append(quantization_config)
        raise LoadedError

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    with pytest.raises(LoadedError):
        ModelSettings(language_model=save_language_model(tmp_path), load_in_4bit=True).build(DIMENSION)
    (config,) = asked
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == torch.bfloat16


class Quantizer:
    """What transformers leaves on a quantised model."""

    def __init__(self, dequantized: Callable[[Any], None]) -> None:
        self.dequantized = dequantized

    def dequantize(self, model: Any, dtype: torch.dtype | None = None) -> None:
        del model.hf_quantizer
        self.dequantized(model)


def test_quantised_weights_are_plain_when_adapters_are_merged(training: Training) -> None:
    model, _ = training.model()
    whole: list[Any] = []
    model.language_model.hf_quantizer = Quantizer(whole.append)  # type: ignore[assignment]
    model.language_model.is_loaded_in_4bit = True  # type: ignore[assignment]
    stage = LORA.build()
    merged = stage.finish(stage.prepare(model))
    assert isinstance(merged, UnicornForConditionalGeneration)
    assert whole == [model.language_model]
    merged.dequantize()  # once is enough
    assert len(whole) == 1
