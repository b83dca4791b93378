"""The measurement of task=geometry at scale, on few rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import geometry


def test_every_size_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(function: Callable[..., geometry.Taken], text: Path, image: Path, rows: int) -> geometry.Taken:
        function(text, image, rows)
        return geometry.Taken(
            pairs=rows,
            busy_seconds=9,
            over_all_rows=2 + rows / 100,
            seconds=3,
            own_bytes=10**9,
            resident_bytes=2 * 10**9,
        )

    monkeypatch.setattr(geometry, "fresh", here)
    settings = geometry.ScaleSettings(
        rows=(100, 200, 400), dimension=8, results=tmp_path / "geometry.json", page=tmp_path / "page.md"
    )
    geometry.bench(settings)
    page = settings.page.read_text()
    assert "2.0 s\n  and 1000.0 s for every 100,000 pairs, and no point lies further from it than 0.0%" in page
    assert "| 400 | 9 | 6.0 | 3 | 1.0 GB | 2.0 GB |" in page
    results: dict[str, Any] = json.loads(settings.results.read_text())
    assert [each["pairs"] for each in results["taken"]] == [100, 200, 400]
    assert {path.name for path in tmp_path.iterdir()} == {"geometry.json", "page.md"}  # no vectors are left


def test_pairs_are_of_unit_norm_with_a_gap_and_alike(tmp_path: Path) -> None:
    text, image = (np.load(path).astype(np.float32) for path in geometry.write_pairs(tmp_path, 500, 128))
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, atol=1e-3)
    centred = [side - side.mean(axis=0) for side in (text, image)]
    assert np.linalg.norm(text.mean(axis=0) - image.mean(axis=0)) > 0.5
    assert np.linalg.norm(centred[0]) > 0.1 * len(text) ** 0.5


def test_a_study_is_measured(tmp_path: Path) -> None:
    taken = geometry.study(*geometry.write_pairs(tmp_path, 200, 8), 200)
    assert taken.busy_seconds > taken.over_all_rows > 0
    assert taken.resident_bytes > taken.own_bytes > 10_000_000
