"""The bench of encoding on few captions: three ways that agree, and what was measured is written."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from bench import encoding, encoding_ways
from bench.process import anonymous_bytes


def test_three_ways_make_the_same_vectors_and_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "fresh", lambda _, rows: rows * 1000)
    monkeypatch.setattr(encoding, "ROUNDS", 1)
    settings = encoding.EncodingSettings(
        captions=24, memory_rows=(2000, 4000), results=tmp_path / "encoding.json", page=tmp_path / "encoding.md"
    )
    ways = {way.name: way for way in encoding.bench(settings)}

    assert ways.keys() == {"plain loop", "sentence-transformers", "Unicorn"}
    assert 1 <= ways["Unicorn"].tokens < ways["plain loop"].tokens
    assert ways["sentence-transformers"].tokens >= 1
    results = json.loads(settings.results.read_text())
    assert results["difference"] < 1e-6
    assert results["memory_bytes_by_rows"] == {"2000": 2_000_000, "4000": 4_000_000}
    assert "sentence-transformers" in results["versions"]
    page = settings.page.read_text()
    assert "Memory: 2 MB at most over 2,000 captions, 4 MB over 4,000." in page
    assert page.count("| Unicorn |") == 1


def test_memory_is_the_most_that_the_stage_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(*_: object) -> None:
        held = np.ones(1 << 25)  # 268 MB, gone at the end
        time.sleep(0.5)
        del held

    monkeypatch.setattr(encoding, "write_embeddings", stage)
    before = anonymous_bytes()
    assert encoding.memory(0) - before > 250e6
    assert anonymous_bytes() - before < 100e6


def test_captions_are_of_dense_length() -> None:
    lengths = np.array([len(caption.text.split()) for caption in encoding_ways.generate_captions(2000)])
    assert (lengths.min(), lengths.max() <= 500, round(lengths.mean(), -1)) == (40, True, 140)
