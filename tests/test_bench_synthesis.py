"""The bench of synthesis, small: what it measures is there, and adds up."""

import json
from pathlib import Path

import pytest

from bench import synthesis


def test_paces_memory_and_resume_are_measured_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "fresh", lambda function, *arguments: function(*arguments))  # as a process would
    settings = synthesis.SynthesisBenchSettings(
        latency=0.05,
        in_flight=(8,),
        seconds=1.0,
        memory_rows=(50, 100),
        resumed_blocks=3,
        block_size=40,
        results=tmp_path / "synthesis.json",
        page=tmp_path / "synthesis.md",
    )
    ((mine, theirs),) = synthesis.bench(settings)
    assert (mine.items, theirs.items) == (160, 40)
    assert 0 < mine.rate <= 8 / 0.05
    assert mine.cpu > 0
    results = json.loads(settings.results.read_text())
    assert results["resume"]["captions"] == 120
    assert results["memory_bytes_by_rows"].keys() == {"50", "100"}
    page = settings.page.read_text()
    assert "| 8 | 160 |" in page
    assert "Resume: with 120 captions finished" in page
