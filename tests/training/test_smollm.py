"""A real language model, aligned on a CPU, looks at what it describes."""

import json
from pathlib import Path

import pytest

from synthesize import synthesize
from tests.conftest import run_script
from train import train


@pytest.mark.slow
def test_smollm_describes_its_own_image_better_than_another(tmp_path: Path) -> None:
    dataset, run = f"dataset={tmp_path / 'dataset'}", tmp_path / "run"
    sparse = ("synthesis.densify=false", "seeds.count=1000", "stages=[captions,embeddings]")
    finished = run_script(synthesize, "experiment=smollm", dataset, *sparse)
    assert finished.code == 0, finished.err
    finished = run_script(
        train, "experiment=smollm", "model=smollm2_135m_gguf", dataset, f"run={run}", "stages=[align]"
    )
    assert finished.code == 0, finished.err
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["align/validation/loss"] < metrics["align/validation/loss_shuffled"] - 0.15
