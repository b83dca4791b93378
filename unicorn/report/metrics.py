"""The numbers of a run: `metrics.json`, flat keys with slashes."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from unicorn.errors import UserError
from unicorn.files import replacing

METRICS = "metrics.json"


def write_metrics(folder: Path, metrics: Mapping[str, float]) -> None:
    """Write the folder's `metrics.json`, in the order given. Raises ValueError if a number is not finite."""
    bad = [key for key, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise ValueError(f"metrics that are not finite: {', '.join(bad)}")
    with replacing(folder / METRICS) as path:
        path.write_text(json.dumps(dict(metrics), indent=2) + "\n")


def read_metrics(folder: Path) -> dict[str, float]:
    """The folder's numbers. Raises UserError if it holds none."""
    path = folder / METRICS
    if not path.is_file():
        raise UserError(f"no {METRICS} in {folder}. Run the command that makes it first.")
    return json.loads(path.read_text())
