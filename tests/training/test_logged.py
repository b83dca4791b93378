"""The numbers of a step, derived again from its samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.tiny import ALIGN, FULL, Dies, Training, read_rows
from unicorn.data.order import Order
from unicorn.data.packing import fill_rows
from unicorn.data.samples import Samples
from unicorn.data.settings import DataSettings
from unicorn.errors import UserError
from unicorn.training.trainer import TrainerSettings
from unicorn.transfer import NoiseKey

STILL = replace(ALIGN, learning_rate=0.0, epochs=1)  # so that the projector stays what it is


def test_rates_padding_and_norms_are_those_of_the_step_s_samples(training: Training) -> None:
    training.run("logged", STILL, data=DataSettings(row_length=64, rows_per_pack=100))  # a pack a step
    folder = training.folder / "logged" / "align"
    samples = Samples(folder / "samples.arrow", training.dataset)
    chosen = np.flatnonzero(training.dataset.training_mask[samples.rows])
    order = Order(samples=len(chosen), batch=STILL.batch, seed=0)
    projector = training.model()[0].projector
    rows = read_rows(folder / "metrics.csv")
    assert len(rows) == order.steps_per_epoch > 2
    for step, row in rows.items():
        drawn = chosen[order.step(step - 1)]
        lengths = samples.lengths[drawn]
        packed = [int(lengths[row].sum()) for row in fill_rows(lengths.tolist(), 64)]
        assert float(row["padding"]) == pytest.approx(1 - lengths.sum() / (len(packed) * max(packed)))
        assert float(row["tokens_per_second"]) / float(row["samples_per_second"]) == pytest.approx(lengths.mean())
        captions = samples.rows[drawn]
        noise = NoiseKey(seed=0, epoch=0, rows=captions)
        vectors = training.transfer.text(training.dataset.vectors(captions), None, noise)
        with torch.no_grad():
            norm = projector(torch.from_numpy(vectors)).norm(dim=-1).mean().item()
        assert float(row["visual_norm"]) == pytest.approx(norm, rel=1e-4)
        assert 0.05 < float(row["memory_gb"]) < 100


def test_mfu_is_what_the_method_multiplies_over_what_the_device_could(training: Training) -> None:
    data = DataSettings(row_length=64, rows_per_pack=2)  # padded and packed, which is no part of the method
    trainer = TrainerSettings(accelerator="cpu", peak_teraflops=0.5)
    training.run("used", STILL, replace(FULL, learning_rate=0.0), data=data, trainer=trainer)
    model, _ = training.model()
    shapes = {name: weight.shape for name, weight in model.named_parameters() if weight.ndim == 2}
    layers = sum(shape.numel() for name, shape in shapes.items() if "language_model" in name and ".layers." in name)
    head = shapes["language_model.model.embed_tokens.weight"].numel()  # tied
    first, second = (shape.numel() for name, shape in shapes.items() if name.startswith("projector."))
    for stage, trained in (("align", False), ("tune", True)):
        folder = training.folder / "used" / stage
        samples = Samples(folder / "samples.arrow", training.dataset)
        chosen = np.flatnonzero(training.dataset.training_mask[samples.rows])
        order = Order(samples=len(chosen), batch=16, seed=0)
        for step, row in read_rows(folder / "metrics.csv").items():
            drawn = chosen[order.step(step - 1)]
            each = 6 if trained else 4  # FLOPs of a token and weight
            flops = each * (layers * samples.lengths[drawn].sum() + head * samples.answer_lengths[drawn].sum())
            flops += (4 * first + 6 * second) * len(drawn)  # nothing goes back through the first
            flops += 12 * 2 * 32 * sum(int(length) ** 2 for length in samples.lengths[drawn])  # layers, channels
            seconds = samples.lengths[drawn].sum() / float(row["tokens_per_second"])
            assert float(row["mfu"]) == pytest.approx(flops / seconds / 0.5e12, rel=1e-6)


def test_without_a_known_peak_there_is_no_mfu(training: Training) -> None:
    training.run("unknown", STILL)
    assert "mfu" not in read_rows(training.folder / "unknown" / "align" / "metrics.csv")[1]
    with pytest.raises(UserError, match=r"trainer\.peak_teraflops=0\.0: must be above 0"):
        TrainerSettings(peak_teraflops=0.0)


@pytest.mark.parametrize(
    ("device", "peak"), [("NVIDIA H100 80GB HBM3", 989.4), ("NVIDIA A100-SXM4-40GB", 312), ("Some other", None)]
)
def test_the_peak_of_a_known_card_is_its_data_sheet_s(
    device: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unicorn.training.trainer.choose_device", lambda _: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: device)
    assert TrainerSettings().peak == peak
    assert TrainerSettings(peak_teraflops=400).peak == 400


def test_waiting_for_data_is_told_from_work(training: Training) -> None:
    slow = Dies(training.transfer, 0, lambda: None)
    slow.before = 0.1  # seconds that each pack takes to be made, at least
    training.run("waited", STILL, transfer=slow)
    training.run("unwaited", STILL, data=DataSettings(row_length=64, rows_per_pack=100))
    waits: list[list[float]] = []
    for name in ("waited", "unwaited"):
        rows = read_rows(training.folder / name / "align" / "metrics.csv").values()
        assert all(0 <= float(row["data_wait"]) < 1 for row in rows)
        seconds = [STILL.batch / float(row["samples_per_second"]) for row in rows][:-1]  # the last step is smaller
        waits.append([float(row["data_wait"]) * each for row, each in zip(rows, seconds, strict=False)])
    waited, unwaited = waits
    assert min(waited) > 0.1
    assert np.median(unwaited) < 0.1
