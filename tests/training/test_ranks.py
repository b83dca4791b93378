"""Two processes learn what one does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.tiny import ALIGN, LORA, Training


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(training: Training) -> None:
    training.run("one", ALIGN, replace(LORA, dropout=0.0))
    root = Path(__file__).parents[2]
    command = [sys.executable, str(Path(__file__).with_name("two_ranks.py")), str(training.folder)]
    subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=True)
    for stage in ("align", "tune"):
        one, two = training.weights("one", stage), training.weights("two", stage)
        for name, weight in one.items():
            torch.testing.assert_close(two[name], weight, atol=2e-5, rtol=1e-3)
        losses = training.losses("one", stage), training.losses("two", stage)
        for expected, found in zip(*(table.values() for table in losses), strict=True):
            assert [float(loss) for loss in found.split()] == pytest.approx(
                [float(loss) for loss in expected.split()], abs=1e-4
            )
