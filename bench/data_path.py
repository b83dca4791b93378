"""The data path beside the published way: `make bench`."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import published
from bench.baseline import Published
from bench.figures import Comparison, Figures, circumstances
from bench.generate import Generator, caption_id, write_dataset, write_published, write_tokens
from bench.page import save_page, save_results, show_results
from bench.unicorn import Unicorn
from unicorn.dataset import UnicornDataset
from unicorn.transfer import NoiseKey
from unicorn.transfer.mean_shift import MeanShiftSettings

MILLION = 1_200_000


@dataclass(kw_only=True)
class BenchSettings:
    """What is measured, and where it goes; the numbers of rows ascend."""

    rows: Sequence[int] = (10_000, 100_000, MILLION)
    published_rows: int = 100_000
    """Rows at which the published way is measured at most; beyond, it is extrapolated."""
    streamed: int = 131_072
    """Samples of the shuffled epoch that are streamed, and vectors fetched, at most."""
    scans: int = 256
    """Look-ups of the published way that are timed."""
    folder: Path = Path("build/bench")
    """Generated data; deleted at the end. 5 GB for 1.2M rows."""
    results: Path = Path("bench/results/data_path.json")
    page: Path = Path("docs/bench.md")


def bench(settings: BenchSettings) -> list[Comparison]:
    """Measure both ways at every number of rows; write the results, the page, and show them."""
    at = circumstances("python -m " + " ".join(["bench.data_path", *sys.argv[1:]]))
    comparisons = list[Comparison]()
    measured: Figures | None = None
    for rows in settings.rows:
        folder = settings.folder / str(rows)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            comparison = _compare(settings, folder, Generator(rows=rows), measured)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        measured = measured if comparison.published.extrapolated_from else comparison.published
        comparisons.append(comparison)
    save_results(settings.results, comparisons, at)
    save_page(settings.page, comparisons, at)
    show_results(comparisons)
    return comparisons


def _compare(settings: BenchSettings, folder: Path, generator: Generator, measured: Figures | None) -> Comparison:
    ours = Unicorn(
        folder=folder / "dataset",
        samples=folder / "samples" / "samples.arrow",
        generator=generator,
        streamed=settings.streamed,
    )
    write_dataset(ours.folder, generator)
    write_tokens(ours.samples, generator)
    figures = ours.measure()
    if measured is not None and generator.rows > settings.published_rows:
        theirs = measured.extrapolated(generator.rows)
        return Comparison(unicorn=figures, published=theirs, mean_difference=None, vector_difference=None)
    baseline = Published(folder=folder / "published", generator=generator, scans=settings.scans)
    write_published(baseline.folder, generator)
    mean_difference, vector_difference = differences(ours, baseline)
    return Comparison(
        unicorn=figures,
        published=baseline.measure(),
        mean_difference=mean_difference,
        vector_difference=vector_difference,
    )


def differences(ours: Unicorn, theirs: Published) -> tuple[float, float]:
    """The largest difference between both ways: of the mean, and of the vectors that training gets."""
    dataset, statistics = UnicornDataset.open(ours.folder), ours.mean_pass()
    mean = published.mean(published.load(theirs.raw))
    items = published.load(theirs.shifted)
    rows = np.arange(0, len(items), max(1, len(items) // theirs.scans))
    transfer = MeanShiftSettings().fit(statistics, ())
    vectors = transfer.text(dataset.vectors(rows), None, NoiseKey(seed=0, epoch=0, rows=rows))
    found = np.stack([published.find(items, caption_id(row)) for row in rows.tolist()])
    return float(np.abs(statistics.mean - mean).max()), float(np.abs(vectors - found).max())


def main() -> None:
    """`python -m bench.data_path`, with other numbers of rows or another folder for the data where wanted."""
    defaults = BenchSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.data_path", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=defaults.rows)
    parser.add_argument("--folder", type=Path, default=defaults.folder, help="generated data; deleted at the end")
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    parser.add_argument("--page", type=Path, default=defaults.page, help="the table")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that measure
    bench(BenchSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
