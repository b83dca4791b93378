"""A dataset goes out as JSON, comes in again, and goes on to vectors; `synthesize.py` leaves a report of it."""

import json
from pathlib import Path

import numpy as np

from synthesize import synthesize
from tests.conftest import run_script
from unicorn.dataset import UnicornDataset
from unicorn.dataset.export_llava import export_llava
from unicorn.dataset.import_llava import import_llava


def test_what_was_imported_goes_on_to_the_same_vectors(small_dataset: Path, tmp_path: Path) -> None:
    files = export_llava(small_dataset, tmp_path / "json")
    import_llava(list(files.values()), tmp_path / "back")
    finished = run_script(synthesize, f"dataset={tmp_path / 'back'}", "stages=[embeddings]")
    assert finished.code == 0, finished.err
    back, ours = UnicornDataset.open(tmp_path / "back"), UnicornDataset.open(small_dataset)
    assert list(back.captions()) == list(ours.captions())
    assert list(back.instructions()) == list(ours.instructions())
    rows = np.arange(len(ours))
    np.testing.assert_allclose(back.vectors(rows), ours.vectors(rows), atol=2e-3)  # float16, other batches
    refused = run_script(synthesize, f"dataset={tmp_path / 'back'}", "synthesis.block_size=16384")
    assert refused.code == 2
    assert "were made otherwise (" in refused.err


def test_synthesis_leaves_a_report(small_dataset: Path) -> None:
    numbers = json.loads((small_dataset / "report" / "metrics.json").read_text())
    assert numbers["captions"] == len(UnicornDataset.open(small_dataset))
    assert 0.3 < numbers["captions/type_token_ratio"] < 1
    assert "<img" in (small_dataset / "report" / "report.html").read_text()
    assert "The captions have" in (small_dataset / "README.md").read_text()
