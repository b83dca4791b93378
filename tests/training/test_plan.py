"""`python train.py plan=true`: what it counts, what it says, and that it trains nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from tests.conftest import run_script
from tests.training.planned import LLAMA, planner
from tests.training.tiny import Training
from unicorn.data.conversation import ConversationTokenizer
from unicorn.data.module import UnicornDataModule
from unicorn.data.settings import DataSettings
from unicorn.errors import UserError
from unicorn.model.settings import Attention, Dtype, ModelSettings
from unicorn.training.align import AlignSettings
from unicorn.training.plan.card import CARDS, Gpu, find_card
from unicorn.training.plan.settings import PlanSettings, StatedWork
from unicorn.training.plan.workload import Workload, workload
from unicorn.training.trainer import Precision
from unicorn.training.tune import FullTuneSettings, LoraTuneSettings

STATED = StatedWork(samples=1000, tokens=30, supervised=20, mfu=0.5)
PAPER = PlanSettings()


@pytest.mark.parametrize("settings", [AlignSettings(), FullTuneSettings()])
def test_a_dataset_is_counted_as_training_counts_it(settings: Any, training: Training, tmp_path: Path) -> None:
    stage = settings.build()
    model = ModelSettings(language_model=training.language_model, visual_tokens=2)
    batches = UnicornDataModule(
        dataset=training.dataset,
        transfer=training.transfer,
        tokenizer=ConversationTokenizer(model.tokenizer(), 2),
        samples_of=stage.samples,
        settings=DataSettings(row_length=64),
        batch=16,
        most_held_out=8,
        seed=0,
        folder=tmp_path,
    )
    batches.prepare_data()
    batches.setup("fit")
    counted = workload(stage, STATED, model, training.dataset.path, 64)
    assert counted.samples == len(batches.training)
    assert counted.steps(16) == batches.order.steps_per_epoch
    assert sorted(counted.lengths) == sorted(batches.samples.lengths[batches.training])
    assert sorted(counted.answer_lengths) == sorted(batches.samples.answer_lengths[batches.training])
    assert counted.source.endswith("all tokenised")


def test_a_large_dataset_is_sampled_and_it_says_so(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unicorn.training.plan.workload.TOKENIZED", 32)
    model = ModelSettings(language_model=training.language_model)
    sampled = workload(AlignSettings().build(), STATED, model, training.dataset.path, 64)
    assert sampled.source.endswith("32 of 64 drawn and tokenised")
    assert len(sampled.lengths) <= 32
    assert 60 <= sampled.samples <= 64


def test_without_a_dataset_the_stated_numbers_stand(tmp_path: Path) -> None:
    model = ModelSettings(language_model=LLAMA, visual_tokens=4)
    stated = workload(AlignSettings().build(), STATED, model, tmp_path, 64)
    assert (stated.samples, stated.lengths.tolist(), stated.answer_lengths.tolist()) == (1000, [33], [20])
    with pytest.raises(UserError, match=r"planned samples of 33 tokens do not fit data\.row_length=32\. Raise it"):
        workload(AlignSettings().build(), STATED, model, tmp_path, 32)


def test_without_a_tokenizer_samples_are_counted_and_their_tokens_are_not(training: Training) -> None:
    counted = workload(AlignSettings().build(), STATED, ModelSettings(language_model=LLAMA), training.dataset.path, 64)
    assert (counted.samples, counted.lengths.tolist()) == (64, [30])


def test_a_dataset_of_nothing_but_long_samples_is_refused(training: Training) -> None:
    model = ModelSettings(language_model=training.language_model)
    with pytest.raises(UserError, match=r"none of 64 captions of .* can be trained on: see data\.row_length"):
        workload(AlignSettings().build(), STATED, model, training.dataset.path, 2)


def test_a_step_is_packed_as_training_packs() -> None:
    lengths = np.array([60, 40, 30, 20])
    work = Workload(samples=4, lengths=lengths, answer_lengths=lengths // 2, source="")
    step, shape = work.step(4, DataSettings(row_length=80, rows_per_pack=4), 1)  # 60 + 20, 40 + 30
    assert (step.tokens, step.slots, step.supervised) == (150, 160, 75)
    assert step.attended == 60**2 + 40**2 + 30**2 + 20**2
    assert step.slots_attended == 2 * 80**2
    assert (shape.rows, shape.length, shape.images, shape.supervised) == (2, 80, 4, 75)
    step, shape = work.step(4, DataSettings(row_length=80, rows_per_pack=4), 2)  # a row for each of two ranks
    assert (step.slots, step.packs, shape.rows) == (150, 1, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: StatedWork(samples=1, tokens=5, supervised=4, mfu=1.5),
            r"mfu=1\.5 of a planned stage: must lie above",
        ),
        (lambda: StatedWork(samples=1, tokens=4, supervised=4, mfu=1), "fewer supervised tokens than tokens"),
        (lambda: PlanSettings(gpus=0), r"planning\.gpus=0: must be 1 or more"),
        (lambda: PlanSettings(headroom=1), r"planning\.headroom=1: must be a share, 0 or more and below 1"),
    ],
)
def test_a_mistake_in_the_settings_is_one_line(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("tune", "gpu", "gpus", "attention", "hours"),
    [
        (LoraTuneSettings(), Gpu.h100, 1, Attention.sdpa, 10),
        (FullTuneSettings(), Gpu.a100, 8, Attention.flash_attention_2, 4),
    ],
)
def test_the_paper_by_plan(tune: Any, gpu: Gpu, gpus: int, attention: Attention, hours: float) -> None:
    seconds = 0.0
    for stage, settings, stated in (("align", AlignSettings(), PAPER.align), ("tune", tune, PAPER.tune)):
        planned = planner(
            LLAMA,
            stage,
            settings=settings,
            stated=stated,
            model={"dtype": Dtype.bfloat16, "attention": attention},
            trainer={"precision": Precision.bf16_mixed, "strategy": "zero2"},
            data=DataSettings(),
            dimension=1280,
        )
        seconds += planned.time(planned.asked(gpus), CARDS[gpu]).seconds
    assert hours / 2 < seconds / 3600 < hours


def test_the_command_plans_and_does_not_train(small_dataset: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "plan"
    finished = run_script(train.train, "plan=true", f"dataset={small_dataset}", f"run={run}", f"out={out}")
    assert finished.code == 0, finished.err
    assert not run.exists()
    for words in (
        "FLOPs of align",
        "Memory of tune",
        "zero3_offload",
        "On 1 x H100 SXM 80 GB",
        "all tokenised",
        "fits;",
    ):
        assert words in finished.out
    numbers = json.loads((out / "metrics.json").read_text())
    trained = {name: numbers[f"{name}/trainable"] for name in ("align", "tune")}
    assert trained["tune"] == trained["align"] + numbers["align/frozen"]
    assert numbers["tune/frozen"] == 0
    assert numbers["hours"] == pytest.approx(numbers["align/hours"] + numbers["tune/hours"])
    parts = ("weights", "gradients", "optimizer", "activations", "logits", "transient")
    assert numbers["align/memory/total"] == pytest.approx(sum(numbers[f"align/memory/{part}"] for part in parts))


def test_what_does_not_fit_is_said_with_what_makes_it_fit(small_dataset: Path) -> None:
    overrides = ("plan=true", "stages=[align]", f"dataset={small_dataset}", "planning.gpu=rtx3090")
    finished = run_script(train.train, *overrides, "planning.headroom=0.99708")
    assert finished.code == 0, finished.err
    assert "does not fit: " in finished.out
    assert " over" in finished.out
    said = " ".join(finished.out.split())
    assert "With data.rows_per_pack=1 it does" in said


def test_a_language_model_without_a_configuration_is_one_line(tmp_path: Path) -> None:
    overrides = ("plan=true", f"dataset={tmp_path}", f"model.language_model={tmp_path}/nothing")
    finished = run_script(train.train, *overrides)
    assert finished.code == 2
    assert finished.err.startswith("error: cannot load the language model")
    assert len(finished.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("device", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", 835.5),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("AMD EPYC", None),
    ],
)
def test_a_card_is_known_by_its_driver_s_name(device: str, teraflops: float | None) -> None:
    card = find_card(device)
    assert (card.teraflops if card else None) == teraflops
