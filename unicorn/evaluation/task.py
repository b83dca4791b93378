"""The seam of the evaluation: benchmarks ask about images, the others study embeddings; all have findings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float

from unicorn.encoder.tower import ImageTower
from unicorn.files import replacing
from unicorn.pictures import Picture, Pictures
from unicorn.report.figures import Figure
from unicorn.report.html import Highlight, Section
from unicorn.report.metrics import write_metrics
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import Transfer, TransferSettings

LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A question about a picture. `type` groups the scores; `template` is its wording without what varies."""

    id: str
    picture: str
    type: str
    template: str
    question: str
    reference: str
    choices: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The question as it is put: each choice in a line of its own, under its letter, as in training."""
        lines = (f"{letter}. {choice}" for letter, choice in zip(LETTERS, self.choices, strict=False))
        return "\n".join([self.question, *lines])


@runtime_checkable
class Benchmark(Protocol):
    """Questions about pictures, and what counts as right."""

    def pictures(self) -> Iterable[Picture]:
        """Every picture that an example asks about, once, in the same order each time."""
        ...

    def examples(self) -> Sequence[Example]:
        """All questions."""
        ...

    def score(self, example: Example, answer: str) -> bool:
        """Whether the answer is right."""
        ...

    def aggregate(self, examples: Sequence[Example], correct: Bool[np.ndarray, " n"]) -> dict[str, float]:
        """Numbers under flat keys: those of `scoring.accuracy_by_type`, and any of its own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Raw unit vectors of captions and of their pictures, row by row."""

    text: Float[np.ndarray, "n d"]
    image: Float[np.ndarray, "n d"]
    domains: Sequence[str]


@runtime_checkable
class Analysis(Protocol):
    """A study of captions' and pictures' vectors."""

    def run(self, pairs: Pairs, transfer: Transfer | TransferSettings) -> "Findings":
        """Numbers and figures; the transfer is that of the run, or without one that of the configuration."""
        ...


VectorChunk = tuple[Float[np.ndarray, "n d"], Sequence[str]]
"""Raw unit vectors, and the domain of each."""


@runtime_checkable
class PictureStudy(Protocol):
    """A study of pictures' vectors alone, however many they are."""

    def observe(self, space: str, chunks: Iterable[VectorChunk]) -> "Findings":
        """Numbers and figures of one pass over the vectors, which are of the encoder `space`."""
        ...


@runtime_checkable
class TowerStudy(Protocol):
    """A study of what the image tower makes of pictures that are changed before they are encoded."""

    def study(self, space: str, pairs: Pairs, pictures: Pictures, image_tower: ImageTower) -> "Findings":
        """Numbers and figures; `pairs` are of these pictures as they are, the tower is of the encoder `space`."""
        ...


@runtime_checkable
class FileStudy(Protocol):
    """A study of vectors that lie in files: it needs no run, no tower and no pictures."""

    def findings(self, transfer: TransferSettings) -> "Findings":
        """Numbers and figures; the transfer is that of the configuration."""
        ...


Task = Benchmark | Analysis | PictureStudy | TowerStudy | FileStudy


class TaskSettings(Protocol):
    """What a file of conf/task/ names."""

    def build(self) -> Task:
        """The task."""
        ...


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a task leaves: numbers, the report's sections, and what they were made from."""

    metrics: dict[str, float]
    sections: Sequence[Section]
    highlights: Sequence[Highlight] = field(default_factory=tuple[Highlight, ...])
    predictions: pa.Table | None = None
    image_statistics: Statistics | None = None

    @property
    def figures(self) -> list[Figure]:
        """Those of all sections."""
        return [figure for section in self.sections for figure in section.figures]

    def save(self, folder: Path) -> None:
        """Write metrics.json, figures/*.png, predictions.parquet and image_statistics/ into `folder`."""
        for figure in self.figures:
            with replacing(folder / "figures" / f"{figure.name}.png") as path:
                path.write_bytes(figure.png)
        if self.predictions is not None:
            with replacing(folder / "predictions.parquet") as path:
                pq.write_table(self.predictions, path)
        if self.image_statistics is not None:
            self.image_statistics.save(folder / "image_statistics")
        write_metrics(folder, self.metrics)


def merge_metrics(findings: Mapping[str, Findings]) -> dict[str, float]:
    """The numbers of all tasks in one mapping; a key that two tasks share has the task's name in front."""
    keys = [key for found in findings.values() for key in found.metrics]
    return {
        (f"{name}/{key}" if keys.count(key) > 1 else key): value
        for name, found in findings.items()
        for key, value in found.metrics.items()
    }
