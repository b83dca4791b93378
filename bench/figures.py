"""What is measured of either way, what follows from it, and on which machine."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("unicorn-vlm", "numpy", "pyarrow", "torch", "datasets", "xxhash")
H100_SAMPLES_PER_SECOND = 100


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One way at one number of rows. Seconds, bytes, samples per second; `disk_bytes` are those of embeddings."""

    rows: int
    lookup_seconds: float
    stream_rate: float
    mean_seconds: float
    imports_bytes: int
    memory_bytes: int
    worker_bytes: int
    startup_seconds: float
    disk_bytes: int
    extrapolated_from: int | None = None

    def extrapolated(self, rows: int) -> "Figures":
        """The figures of a way all of whose costs are proportional to the rows, imports apart."""
        scale = rows / self.rows
        return replace(
            self,
            rows=rows,
            lookup_seconds=self.lookup_seconds * scale,
            stream_rate=self.stream_rate / scale,
            mean_seconds=self.mean_seconds * scale,
            memory_bytes=self.imports_bytes + round((self.memory_bytes - self.imports_bytes) * scale),
            worker_bytes=self.imports_bytes + round((self.worker_bytes - self.imports_bytes) * scale),
            startup_seconds=self.startup_seconds * scale,
            disk_bytes=round(self.disk_bytes * scale),
            extrapolated_from=self.rows,
        )


@dataclass(frozen=True, kw_only=True)
class UnicornFigures(Figures):
    """What there is to say of Unicorn's way alone. `lookup_seconds` is `resolve_seconds` + `fetch_seconds`.

    `startup_seconds` is without checksums, which a command checks once, before its processes open the dataset.
    """

    resolve_seconds: float
    """Per id, all ids of the dataset resolved at once, in shuffled order."""
    fetch_seconds: float
    """Per vector, in shuffled batches."""
    batch_seconds: float
    """Per vector, where every batch resolves its own ids."""
    single_seconds: float
    """One id resolved and its vector fetched."""
    read_seconds: float
    """The same bytes as in the mean pass, merely read."""
    verified_startup_seconds: float
    tokens_per_sample: float
    dataset_bytes: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both ways at one number of rows."""

    unicorn: UnicornFigures
    published: Figures
    mean_difference: float | None
    """Largest difference of the two means in any dimension; None where the published way was not run."""
    vector_difference: float | None
    """The same of the shifted vectors that training gets; Unicorn keeps float16."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """How many times better it is, and how many times it should be."""

    name: str
    ratio: float
    expected: float
    beside_published: bool
    """Whether it is a ratio to the published way."""

    @property
    def met(self) -> bool:
        """Whether it is as expected."""
        return self.ratio >= self.expected


def expectations(comparison: Comparison) -> list[Expectation]:
    """What was expected of 1.2M rows, held against any number of them."""
    ours, theirs = comparison.unicorn, comparison.published
    beside_published = {
        "look-up by id": (theirs.lookup_seconds / ours.lookup_seconds, 10_000),
        "mean pass, loading included": (theirs.mean_seconds / ours.mean_seconds, 10),
        "anonymous memory of a process": (theirs.memory_bytes / ours.memory_bytes, 20),
        "bytes on disk": (theirs.disk_bytes / ours.disk_bytes, 3.8),
    }
    alone = {
        "mean pass, share of the rate of merely reading, same threads": (ours.read_seconds / ours.mean_seconds, 1 / 3),
        "one worker, times what an H100 consumes": (ours.stream_rate / H100_SAMPLES_PER_SECOND, 30),
    }
    return [
        Expectation(name=name, ratio=ratio, expected=expected, beside_published=pairs is beside_published)
        for pairs in (beside_published, alone)
        for name, (ratio, expected) in pairs.items()
    ]


def circumstances(command: str, beside: Sequence[str] = ()) -> dict[str, str | float | dict[str, str]]:
    """What a figure must come with: command, commit, machine and what else it is doing, date and versions.

    `beside` names packages that are measured beside this one.
    """
    return {
        "command": command,
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "memory_bytes": int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in (*PACKAGES, *beside)},
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()

    # The results themselves are written after what they are results of.
    changed = git(
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!bench/results",
        ":!docs/bench.md",
        ":!docs/encoding.md",
        ":!docs/geometry_at_scale.md",
        ":!docs/training_speed.md",
    )
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + (" with changes" if changed else "")


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"
