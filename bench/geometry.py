"""What task=geometry takes on files of a million pairs: `python -m bench.geometry` writes docs/geometry_at_scale.md."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import orjson
from jaxtyping import Float32

from bench.figures import circumstances
from bench.page import machine_line
from bench.process import fresh, most_anonymous_bytes
from unicorn.evaluation.geometry import GeometrySettings
from unicorn.evaluation.task import FileStudy
from unicorn.files import replacing
from unicorn.report.table import markdown_table, numbers_table, show
from unicorn.transfer.mean_shift import MeanShiftSettings

CHUNK = 8192
SHARED = 64
"""Directions that a caption and its picture have in common."""

PAGE = """\
# The geometry of a million pairs, measured

`python -m bench.geometry` writes this page and [geometry.json](../bench/results/geometry.json): `task=geometry` on two
`.npy` files of generated float16 unit vectors of {dimension:,} dimensions, each size in a fresh process. It needs
{disk:.0f} GB of disk for a while, and minutes.

{machine}

{table}

- Busy seconds are those of all cores together. Part of them go into samples, whose size is the same for all of these:
  {gallery:,} pairs for retrieval, {separated:,} rows of each side for the classifier, {clustered:,} pairs for clusters,
  {drawn:,} rows of each side for scatter plots; the classifier and K-means take more steps on some data than on other.
- Over all rows is a second run with samples of two rows at most and no clusters. The line through it is {fixed:.1f} s
  and {slope:.1f} s for every 100,000 pairs, and no point lies further from it than {off:.1f}%.
- Own memory is the largest amount that no file backs, looked at five times a second, imports included; resident memory
  counts the mapped files' pages, too, which the system takes back when it needs them.
"""


@dataclass(kw_only=True)
class ScaleSettings:
    """What is measured, and where it goes."""

    rows: Sequence[int] = (250_000, 500_000, 1_000_000)
    dimension: int = 1280
    results: Path = Path("bench/results/geometry.json")
    page: Path = Path("docs/geometry_at_scale.md")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one size took."""

    pairs: int
    busy_seconds: float
    over_all_rows: float
    """Busy seconds without the sampled parts."""
    seconds: float
    own_bytes: int
    resident_bytes: int


def write_pairs(folder: Path, rows: int, dimension: int) -> tuple[Path, Path]:
    """Two files of paired unit vectors: a mean of its own for each side, what a pair shares, and noise."""
    random = np.random.default_rng(0)
    means, mixing = random.normal(size=(2, dimension)), random.normal(size=(2, SHARED, dimension)) / SHARED**0.5
    paths = folder / "text.npy", folder / "image.npy"
    files = [np.lib.format.open_memmap(path, "w+", np.float16, (rows, dimension)) for path in paths]
    for start in range(0, rows, CHUNK):
        shared = random.normal(size=(min(CHUNK, rows - start), SHARED))
        for file, mean, mix in zip(files, means, mixing, strict=True):
            vectors = mean + shared @ mix + random.standard_normal((len(shared), dimension), np.float32)
            file[start : start + CHUNK] = _unit(vectors.astype(np.float32))
    return paths


def _unit(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def study(text: Path, image: Path, rows: int) -> Taken:
    """Run the task on two files, in this process."""
    whole = GeometrySettings(text=str(text), image=str(image))
    began = perf_counter()
    with most_anonymous_bytes() as own:
        busy = _busy_seconds(whole)
    seconds = perf_counter() - began
    return Taken(
        pairs=rows,
        busy_seconds=busy,
        over_all_rows=_busy_seconds(replace(whole, gallery=1, separated=2, clustered=1, drawn=2)),
        seconds=seconds,
        own_bytes=own[0],
        resident_bytes=_most_resident_bytes(),
    )


def _busy_seconds(settings: GeometrySettings) -> float:
    task = settings.build()
    assert isinstance(task, FileStudy)
    before = process_time()
    task.findings(MeanShiftSettings())
    return process_time() - before


def _most_resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def bench(settings: ScaleSettings) -> list[Taken]:
    """Measure all sizes; write results and page, and show them."""
    at = circumstances("python -m " + " ".join(["bench.geometry", *sys.argv[1:]]), ("scikit-learn",))
    taken = list[Taken]()
    for rows in settings.rows:
        with TemporaryDirectory(dir=settings.page.parent) as folder:
            text, image = write_pairs(Path(folder), rows, settings.dimension)
            taken.append(fresh(study, text, image, rows))
    sizes, busy = np.array([each.pairs for each in taken]), np.array([each.over_all_rows for each in taken])
    slope, fixed = np.polyfit(sizes, busy, 1)
    columns = ("pairs", "busy seconds", "over all rows", "seconds", "own memory", "resident")
    cells = [
        (
            f"{each.pairs:,}",
            f"{each.busy_seconds:.0f}",
            f"{each.over_all_rows:.1f}",
            f"{each.seconds:.0f}",
            f"{each.own_bytes / 1e9:.1f} GB",
            f"{each.resident_bytes / 1e9:.1f} GB",
        )
        for each in taken
    ]
    show(numbers_table("Geometry", columns, cells))
    defaults = GeometrySettings()
    page = PAGE.format(
        machine=machine_line(at),
        table=markdown_table(columns, cells).strip(),
        dimension=settings.dimension,
        disk=4 * settings.dimension * max(settings.rows) / 1e9,
        slope=slope * 100_000,
        fixed=fixed,
        off=100 * float((np.abs(slope * sizes + fixed - busy) / busy).max()),
        gallery=defaults.gallery,
        separated=defaults.separated,
        clustered=defaults.clustered,
        drawn=defaults.drawn,
    )
    with replacing(settings.results) as temporary:
        content = {**at, "taken": list(map(asdict, taken))}
        temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    with replacing(settings.page) as temporary:
        temporary.write_text(page)
    return taken


def main() -> None:
    """`python -m bench.geometry`."""
    defaults = ScaleSettings()
    parser = argparse.ArgumentParser(prog="python -m bench.geometry", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=defaults.rows)
    parser.add_argument("--results", type=Path, default=defaults.results, help="the JSON")
    parser.add_argument("--page", type=Path, default=defaults.page, help="the table")
    bench(ScaleSettings(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
