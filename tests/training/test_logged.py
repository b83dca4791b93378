"""The numbers of a step, derived again from its samples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.tiny import ALIGN, Dies, Training
from unicorn.data.order import Order
from unicorn.data.packing import fill_rows
from unicorn.data.samples import Samples
from unicorn.data.settings import DataSettings
from unicorn.training.csv_logger import read_rows
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


def test_waiting_for_data_is_told_from_work(training: Training) -> None:
    slow = Dies(training.transfer, 0, lambda: None)
    slow.before = 0.1
    training.run("waited", STILL, transfer=slow)
    training.run("unwaited", STILL, data=DataSettings(row_length=64, rows_per_pack=100))
    tables = [read_rows(training.folder / name / "align" / "metrics.csv") for name in ("waited", "unwaited")]
    waited, unwaited = (np.median([float(row["data_wait"]) for row in table.values()]) for table in tables)
    assert 0 <= unwaited < waited < 1
    assert waited > 0.5
