"""The bench end to end on few rows: both ways give the same, and what was measured is written."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bench import published
from bench.baseline import Published
from bench.data_path import BenchSettings, bench
from bench.figures import Comparison, Figures, UnicornFigures, expectations
from bench.generate import Generator, write_dataset, write_published, write_tokens
from bench.page import figure_table, save_page
from bench.unicorn import Lookup, Unicorn
from unicorn.dataset import UnicornDataset

THEIRS = Figures(
    rows=100,
    lookup_seconds=1.0,
    stream_rate=10,
    mean_seconds=20,
    imports_bytes=100,
    memory_bytes=1900,
    worker_bytes=1000,
    startup_seconds=3,
    disk_bytes=800,
)
OURS = UnicornFigures(
    rows=100,
    lookup_seconds=5e-5,
    stream_rate=40,
    mean_seconds=2,
    imports_bytes=100,
    memory_bytes=100,
    worker_bytes=200,
    startup_seconds=1,
    disk_bytes=200,
    resolve_seconds=2e-5,
    fetch_seconds=3e-5,
    batch_seconds=0.01,
    single_seconds=2.0,
    read_seconds=0.5,
    verified_startup_seconds=2,
    tokens_per_sample=180,
    dataset_bytes=300,
)


def test_both_ways_agree_and_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("bench.unicorn", "bench.baseline"):  # in this process: a fresh one takes seconds to import torch
        monkeypatch.setattr(f"{module}.fresh", lambda function: function())
    settings = BenchSettings(
        rows=(2000,),
        scans=64,
        folder=tmp_path / "data",
        results=tmp_path / "results.json",
        page=tmp_path / "bench.md",
    )
    [comparison] = bench(settings)

    assert comparison.mean_difference is not None
    assert comparison.vector_difference is not None
    assert 0 < comparison.mean_difference < 1e-5
    assert 0 < comparison.vector_difference < 1e-3
    assert comparison.unicorn.disk_bytes == pytest.approx(2000 * 1280 * 2, rel=0.05)
    assert comparison.published.disk_bytes == pytest.approx(2 * 2000 * 1280 * 4, rel=0.05)
    assert comparison.unicorn.tokens_per_sample == pytest.approx(180, rel=0.05)
    assert not list(settings.folder.iterdir())

    results = json.loads(settings.results.read_text())
    assert {"command", "commit", "processor", "cores", "memory_bytes", "date", "versions"} <= results.keys()
    assert results["comparisons"][0]["published"]["extrapolated_from"] is None
    page = settings.page.read_text()
    assert "## 2,000 rows" in page
    assert "~ " not in page.split("## How")[0]

    extrapolated = replace(comparison, published=comparison.published.extrapolated(4000))
    save_page(settings.page, [extrapolated], results)
    assert "| mean pass, loading included | ~ " in settings.page.read_text()


def test_beyond_what_is_measured_the_published_way_is_extrapolated_from_the_most_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unicorn, "measure", lambda self: replace(OURS, rows=self.generator.rows))
    monkeypatch.setattr(Published, "measure", lambda self: replace(THEIRS, rows=self.generator.rows))
    settings = BenchSettings(
        rows=(20, 40, 80),
        published_rows=40,
        scans=4,
        folder=tmp_path / "data",
        results=tmp_path / "results.json",
        page=tmp_path / "bench.md",
    )
    published_way = [comparison.published for comparison in bench(settings)]
    assert [figures.extrapolated_from for figures in published_way] == [None, None, 40]
    assert published_way[2].mean_seconds == 2 * THEIRS.mean_seconds


def test_a_rate_is_what_was_streamed_in_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(rows=1500, dimension=8)
    ours = Unicorn(folder=tmp_path, samples=tmp_path / "samples.arrow", generator=generator, streamed=512)
    write_dataset(ours.folder, generator)
    write_tokens(ours.samples, generator)
    theirs = Published(folder=tmp_path / "published", generator=generator, scans=40)
    write_published(theirs.folder, generator)
    for module in ("bench.unicorn", "bench.baseline"):
        monkeypatch.setattr(f"{module}.perf_counter", count(0, 4).__next__)
    assert ours.stream().rate == 512 / 4
    assert theirs.stream()[0] == 48 / 4  # three batches of 16 hold the 40 that are looked up


def test_costs_are_proportional_to_the_rows_imports_apart() -> None:
    assert THEIRS.extrapolated(300) == Figures(
        rows=300,
        lookup_seconds=3.0,
        stream_rate=10 / 3,
        mean_seconds=60,
        imports_bytes=100,
        memory_bytes=5500,
        worker_bytes=2800,
        startup_seconds=9,
        disk_bytes=2400,
        extrapolated_from=100,
    )


def test_a_look_up_is_counted_once_for_every_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(rows=600, dimension=8)
    ours = Unicorn(folder=tmp_path / "dataset", samples=tmp_path, generator=generator, streamed=300)
    write_dataset(ours.folder, generator)
    theirs = Published(folder=tmp_path / "published", generator=generator, scans=7)
    write_published(theirs.folder, generator)

    def pieces(function: Callable[[], object], repetitions: int = 1) -> float:
        """In place of seconds: how many ids were looked for and vectors taken."""
        counted.clear()
        function()
        return sum(counted)

    counted = list[int]()
    find, rows, vectors = published.find, UnicornDataset.rows, UnicornDataset.vectors
    monkeypatch.setattr(published, "find", lambda *asked: counted.append(1) or find(*asked))
    monkeypatch.setattr(UnicornDataset, "rows", lambda self, ids: counted.append(len(ids)) or rows(self, ids))
    monkeypatch.setattr(UnicornDataset, "vectors", lambda self, rows: counted.append(len(rows)) or vectors(self, rows))
    for module in ("bench.unicorn", "bench.baseline"):
        monkeypatch.setattr(f"{module}.seconds", pieces)

    assert theirs.timed() == (1, 1, 0)
    assert ours.lookup() == Lookup(resolve=1, fetch=1, batch=2, single=2)


def test_ratios_and_verdicts_are_of_the_figures() -> None:
    comparison = Comparison(unicorn=OURS, published=THEIRS, mean_difference=0, vector_difference=0)
    assert {item.name.split(",")[0]: (round(item.ratio, 3), item.met) for item in expectations(comparison)} == {
        "look-up by id": (20_000, True),
        "mean pass": (0.25, False),  # of the rate of reading, which comes after the ratio of the same name
        "anonymous memory of a process": (19, False),
        "bytes on disk": (4, True),
        "one worker": (0.4, False),
    }
    assert {row[0]: row[3] for row in figure_table(comparison).rows if row[3]} == {
        "look-up by id, per vector": "20,000x",
        "- every batch resolved on its own": "100x",
        "- one id alone": "0.5x",
        "streaming, one worker, samples/s": "4x",
        "mean pass, loading included": "10x",
        "anonymous memory of a process": "19x",
        "anonymous memory of its worker": "5x",
        "start-up": "3x",
        "bytes on disk": "4x",
    }
