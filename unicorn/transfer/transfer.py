"""The seam of the transfers: both sides of the shift in one object, so that training and inference agree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int64

from unicorn.transfer.statistics import Statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseKey:
    """What makes a row's noise: the same in every order, worker and rank, new in every epoch."""

    seed: int
    epoch: int
    rows: Int64[np.ndarray, " n"]
    drawn: dict[int, Float32[np.ndarray, "n d"]] = field(default_factory=dict[int, Any], compare=False, repr=False)
    """By dimension, what was drawn before: transfers that are given one key share it."""


class ImageCentring(Protocol):
    """What is done to real image vectors at inference. It may learn from the images it meets."""

    def observe(self, vectors: Float[np.ndarray, "n d"], domains: Sequence[str] | None = None) -> None:
        """Take note of unit-norm image vectors, and of their domains, before any of them is transformed."""
        ...

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Image vectors, in the order they come, as the projector expects them.

        Raises UserError if it needs a mean and has none.
        """
        ...

    def statistics(self) -> Statistics | None:
        """The image statistics in use, to be saved with what they were used for; none if none are used."""
        ...


class ImageMean(Protocol):
    """Where the mean comes from that is subtracted from image vectors."""

    def observe(self, seen: Statistics) -> None:
        """Take note of the images under test, before any of them is asked for."""
        ...

    def of(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "#n d"]:
        """What is to be subtracted from each of the vectors, or from all. Raises UserError if it is not known."""
        ...

    def statistics(self) -> Statistics | None:
        """The image statistics that it rests on; None before the first image."""
        ...


class Transfer(Protocol):
    """Text vectors -> image-like vectors for training; its image side for inference."""

    @property
    def space(self) -> str:
        """Name of the embedding space that it was fitted in; image vectors must be of the same."""
        ...

    @property
    def normalised(self) -> bool:
        """Whether the text vectors that it was fitted to were of unit norm; image vectors must be likewise."""
        ...

    def text(
        self, vectors: Float[np.ndarray, "n d"], domains: Iterable[str] | None, noise: NoiseKey
    ) -> Float[np.ndarray, "n d"]:
        """Synthetic image vectors (float32) of raw unit-norm text vectors."""
        ...

    def image_centring(self, mean: ImageMean | None = None) -> ImageCentring:
        """The image side. Where it subtracts a mean it is this one, or that of the images it will observe."""
        ...

    def save(self, folder: Path) -> None:
        """Write `transfer.safetensors` and `transfer.json` (class, settings, encoder, normalisation)."""
        ...


@runtime_checkable
class TransferSettings(Protocol):
    """What a file of conf/transfer/ names."""

    def fit(self, statistics: Statistics, chunks: Iterable[Float[np.ndarray, "n d"]]) -> Transfer:
        """The transfer for a training split: its statistics, and its raw text vectors in chunks.

        Raises UserError where image statistics are needed and missing, or made by another encoder.
        """
        ...
