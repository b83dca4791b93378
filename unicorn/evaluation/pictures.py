"""Pictures -> vectors: each encoded once, and none kept but thumbnails of those to be shown."""

import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from unicorn.encoder.tower import ImageTower, TextTower
from unicorn.errors import UserError
from unicorn.evaluation.task import Pairs, VectorChunk
from unicorn.pictures import Picture
from unicorn.report.progress import track

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH = 128
_THUMBNAIL = 256  # pixels


@dataclass(frozen=True, kw_only=True)
class EncodedPictures:
    """Ids, domains and raw unit vectors, row by row, and thumbnails (PNG) of the pictures to be shown."""

    ids: Sequence[str]
    domains: Sequence[str]
    vectors: Float[np.ndarray, "n d"]
    thumbnails: dict[str, bytes]


def encode_pictures(pictures: Iterable[Picture], tower: ImageTower, show: Collection[str] = ()) -> EncodedPictures:
    """Encode pictures in batches, keeping thumbnails of those whose ids are in `show`."""
    ids: list[str] = []
    domains: list[str] = []
    vectors: list[Float[np.ndarray, "n d"]] = []
    thumbnails: dict[str, bytes] = {}
    for batch in track(_batches(pictures), "pictures"):
        ids += [picture.id for picture in batch]
        domains += [picture.domain for picture in batch]
        vectors.append(tower.encode([picture.image for picture in batch]).numpy())
        thumbnails |= {picture.id: thumbnail(picture.image) for picture in batch if picture.id in show}
    return EncodedPictures(ids=ids, domains=domains, vectors=np.concatenate(vectors), thumbnails=thumbnails)


def encode_pairs(pictures: Iterable[Picture], image_tower: ImageTower, text_tower: TextTower) -> Pairs:
    """Encode pictures and their captions. Raises UserError if a picture has no caption."""
    image: list[Float[np.ndarray, "n d"]] = []
    text: list[Float[np.ndarray, "n d"]] = []
    domains: list[str] = []
    for batch in track(_batches(pictures), "pictures and captions"):
        if bare := next((picture.id for picture in batch if not picture.caption), None):
            raise UserError(f"picture {bare} has no caption: an analysis of pairs needs one for each picture.")
        image.append(image_tower.encode([picture.image for picture in batch]).numpy())
        text.append(text_tower.encode([picture.caption for picture in batch]).numpy())
        domains += [picture.domain for picture in batch]
    return Pairs(text=np.concatenate(text), image=np.concatenate(image), domains=domains)


def encode_chunks(pictures: Iterable[Picture], tower: ImageTower) -> Iterator[VectorChunk]:
    """Encode pictures in batches, each with their domains, and keep none."""
    for batch in track(_batches(pictures), "pictures"):
        vectors = tower.encode([picture.image for picture in batch]).numpy()
        yield vectors, [picture.domain for picture in batch]


def thumbnail(image: "Image") -> bytes:
    """A PNG of at most 256 pixels a side."""
    small = image.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    file = io.BytesIO()
    small.save(file, format="PNG")
    return file.getvalue()


def _batches(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    iterator = iter(pictures)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
