"""The numbers of evaluations that differ in their seed alone, as means and 95% intervals: part of `make analyses`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from unicorn.evaluation.comparison import Interval
from unicorn.files import replacing
from unicorn.report.metrics import read_metrics
from unicorn.report.table import markdown_table


def over_seeds(folders: Sequence[Path]) -> dict[str, Interval]:
    """Student's interval of each number that all evaluations have."""
    metrics = [read_metrics(folder) for folder in folders]
    shared = [key for key in metrics[0] if all(key in found for found in metrics)]
    return {key: Interval.of([found[key] for found in metrics]) for key in shared}


def write(folder: Path, seeds: Sequence[str]) -> None:
    """Write `comparison.json` and `comparison.md` into the folder that holds one evaluation for each seed."""
    found = over_seeds([folder / seed for seed in seeds])
    options = orjson.OPT_INDENT_2
    rows = [
        [key, f"{value.mean:.3f}", f"± {value.half:.3f}" if value.half is not None else ""]
        for key, value in found.items()
    ]
    page = markdown_table(("number", "mean", "95%"), rows)
    with replacing(folder / "comparison.json") as path:
        path.write_bytes(orjson.dumps({key: asdict(value) for key, value in found.items()}, option=options))
    with replacing(folder / "comparison.md") as path:
        path.write_text(page)
    print(page)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2:])
