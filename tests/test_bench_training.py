"""The benches of training at a tiny size: recipes that agree, and what was measured is written."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

import bench.training
from bench import gpu, recipes, training_steps
from bench.recipes import LEVERS, PUBLISHED, UNICORN, Recipe, Stage, backward, collate, prepared
from tests.training.tiny import DIMENSION, Training
from unicorn.data.conversation import Sample
from unicorn.model.modeling import IGNORED
from unicorn.model.settings import VisualMode


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return Training(tmp_path_factory.mktemp("training"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def samples(visual_tokens: int, image: int) -> list[Sample]:
    random = np.random.default_rng(0)
    return [
        Sample(
            input_ids=np.array([1, *[image] * visual_tokens, *random.integers(4, 20, length)], np.int32),
            supervised=np.arange(1 + visual_tokens + length) > visual_tokens + length // 2,
        )
        for length in (9, 4, 7, 12)
    ]


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("visual_tokens", [1, 6])
def test_recipes_of_as_many_visual_tokens_have_the_same_loss_and_gradient(
    training: Training, monkeypatch: pytest.MonkeyPatch, stage: Stage, visual_tokens: int
) -> None:
    monkeypatch.setattr(recipes, "DIMENSION", DIMENSION)
    found: list[tuple[float, float]] = []
    for recipe in (
        UNICORN,
        PUBLISHED,
        *(UNICORN.changed(lever, PUBLISHED) for lever in LEVERS),
        Recipe(checkpointing=True),
    ):
        recipe = replace(recipe, visual_tokens=visual_tokens)
        model, tokenizer = training.model(visual_tokens=visual_tokens, visual_mode=VisualMode.repeated)
        module = prepared(stage, recipe, model, rank=4)
        made = samples(visual_tokens, cast("int", tokenizer.image_token_id))
        batches = collate(made, packed=recipe.packed, row_length=30, rows_at_a_time=2)
        loss = sum(backward(module, batch, recipe, batches) for batch in batches)
        found.append((loss, training_steps.projector_gradient(module)))
    for numbers in found:
        assert numbers == pytest.approx(found[0], rel=1e-4)


def test_packing_and_padding_hold_the_same_samples() -> None:
    made = samples(1, 50)
    packed, padded = (collate(made, packed=way, row_length=26, rows_at_a_time=3) for way in (True, False))
    assert [batch.input_ids.shape for batch in padded] == [(3, 14), (1, 14)]  # to the longest of all
    assert sum(batch.input_ids.numel() for batch in packed) < 4 * 14
    for batches in (packed, padded):
        assert sum(int((batch.input_ids == 50).sum()) for batch in batches) == 4
        assert [int((batch.input_ids == 50).sum()) for batch in batches] == [
            len(batch.image_embeds) for batch in batches
        ]
        labels = sum(int((batch.labels != IGNORED).sum()) for batch in batches)
        assert labels == sum(int(sample.supervised.sum()) for sample in made)


@pytest.mark.usefixtures("one_thread")
def test_what_is_measured_is_written(training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "DIMENSION", DIMENSION)
    monkeypatch.setattr(
        training_steps,
        "make_samples",
        lambda stage, count, tokenizer, visual_tokens: samples(visual_tokens, tokenizer.image_token_id)[:count],
    )
    monkeypatch.setattr(bench.training, "save_language_model", lambda folder: None)

    def here(settings: bench.training.TrainingBenchSettings, _: str) -> dict[Stage, list[training_steps.Measurement]]:
        return {
            stage: [
                training_steps.measure(line, training.language_model, settings.samples, 2, settings.rounds)
                for line in training_steps.lines(stage, settings.compiled)
            ]
            for stage in Stage
        }

    monkeypatch.setattr(bench.training, "in_fresh_processes", here)
    monkeypatch.setattr(bench.training, "fresh", lambda _, __, fused: (0.25 if fused else 0.5, 3_000_000))
    settings = bench.training.TrainingBenchSettings(
        samples=3, rounds=1, compiled=False, results=tmp_path / "training.json", page=tmp_path / "training.md"
    )
    measured = bench.training.bench(settings)

    names = [line.name for line in training_steps.lines(Stage.align, compiled=True)]
    assert len(names) == 2 * len(LEVERS) + 4
    assert [way.name for way in measured[Stage.align]] == names[:-1]
    ways = {way.name: way for way in measured[Stage.align]}
    assert ways["Unicorn"].computed < ways["published, one visual token"].computed < ways["published"].computed
    results = json.loads(settings.results.read_text())
    assert results["differences"]["tune"]["loss"] < 1e-4
    assert results["ratios"]["align"]["Unicorn"] == pytest.approx(
        ways["Unicorn"].samples_per_second / ways["published"].samples_per_second
    )
    page = settings.page.read_text()
    assert page.count("| Unicorn without packed rows |") == 2
    assert "weights): 500 ms, with `trainer.fused_optimizer` 250 ms." in page


def test_recipes_that_disagree_are_an_error() -> None:
    ways = [
        training_steps.Measurement(
            name=str(loss),
            stage=Stage.align,
            visual_tokens=1,
            samples_per_second=1.0,
            computed=1.0,
            peak=1,
            loss=loss,
            gradient=1.0,
            tokens=1.0,
        )
        for loss in (2.0, 2.001)
    ]
    assert bench.training.differences(ways) == {"loss": pytest.approx(5e-4), "gradient": 0.0}


def test_without_a_gpu_the_bench_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert capsys.readouterr().out.startswith("bench.gpu: there is no GPU here, nothing is measured.")


WHOLE = gpu.recipes()


def test_the_bench_of_a_gpu_runs_at_a_tiny_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "STEPS", 1)
    monkeypatch.setattr(gpu, "WARM_UP", 0)
    monkeypatch.setattr(gpu, "recipes", lambda: dict(list(WHOLE.items())[:2]))
    measured = gpu.bench(
        gpu.GpuSettings(
            device="cpu", shape=gpu.Shape.tiny, samples=4, published_samples=2, results=tmp_path / "gpu.json"
        )
    )
    assert [(each.stage, each.samples) for each in measured] == [(stage, n) for stage in Stage for n in (2, 4)]
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["attention"] == "sdpa"
    assert results["goals"][0][0] == "align, MFU"
