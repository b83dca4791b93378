"""A world of colours, small enough to know every number: pictures of one colour, a tower that sees it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from unicorn.evaluation.scoring import accuracy_by_type, matches
from unicorn.evaluation.task import Example
from unicorn.pictures import Picture
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, ImageMean, NoiseKey

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SPACE = "colours"


class ColourBenchmark:
    """Picture i has colour i modulo 3; each is asked its name and whether it is red."""

    def __init__(self, count: int = 12) -> None:
        self.shown = [list(COLOURS)[row % 3] for row in range(count)]

    def pictures(self) -> Iterator[Picture]:
        for row, colour in enumerate(self.shown):
            image = Image.new("RGB", (8, 8), COLOURS[colour])
            yield Picture(id=f"picture-{row}", image=image, caption=f"a {colour} wall .")

    def examples(self) -> list[Example]:
        return [
            Example(
                id=f"picture-{row}/{kind}",
                picture=f"picture-{row}",
                type=kind,
                template=kind,
                question={"name": "which color?", "red": "is it red?"}[kind],
                reference={"name": colour, "red": "yes" if colour == "red" else "no"}[kind],
            )
            for row, colour in enumerate(self.shown)
            for kind in ("name", "red")
        ]

    def score(self, example: Example, answer: str) -> bool:
        return matches(answer, example.reference)

    def aggregate(self, examples: Sequence[Example], correct: Bool[np.ndarray, " n"]) -> dict[str, float]:
        return accuracy_by_type(examples, correct)


class ColourTower:
    """A picture's mean colour, as a unit vector."""

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        self.seen += len(images)
        pixels = np.stack([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images])
        return torch.from_numpy(pixels / np.linalg.norm(pixels, axis=1, keepdims=True)).float()


class WordTower:
    """A caption's colour, as the tower of pictures sees it but for a gap."""

    context, cut = 100, 0

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        vectors = torch.tensor([[float(colour in text) for colour in COLOURS] for text in texts]) + 0.2
        return vectors / vectors.norm(dim=1, keepdim=True)


class SeeingAnswerer:
    """Answers by the largest component of the vector it is given; asked blind, it says green and no."""

    def answer(self, questions: Sequence[str], vectors: Float[np.ndarray, "n d"]) -> list[str]:
        return [self._one(question, vector) for question, vector in zip(questions, vectors, strict=True)]

    def _one(self, question: str, vector: Float[np.ndarray, " d"]) -> str:
        colour = list(COLOURS)[int(vector.argmax())] if vector.any() else "green"
        if question == "which color?":
            return f"{colour.title()}."
        return "yes" if colour == "red" else "no"


class Centred:
    """Subtracts the mean of what it observed."""

    def __init__(self) -> None:
        self.observed: list[Float[np.ndarray, "n d"]] = []
        self.domains: list[str] = []

    def observe(self, vectors: Float[np.ndarray, "n d"], domains: Sequence[str] | None = None) -> None:
        self.observed.append(vectors)
        self.domains += domains or []

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        return vectors - np.concatenate(self.observed).mean(axis=0)

    def statistics(self) -> Statistics:
        return Statistics.of(SPACE, np.concatenate(self.observed), self.domains)


class CentringTransfer:
    """Subtracts the mean on both sides."""

    def __init__(self, change: Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n d"]] | None = None) -> None:
        self.change = change or (lambda vectors: vectors - vectors.mean(axis=0))

    def text(self, vectors: Float[np.ndarray, "n d"], domains: object, noise: NoiseKey) -> Float[np.ndarray, "n d"]:
        return self.change(vectors)

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        return Centred()

    def save(self, folder: Path) -> None:
        raise NotImplementedError
