"""Training with images, to compare with: a dataset whose vectors are those of pictures, one for every caption.

    python -m unicorn.scenes.paired dataset=data/scenes out=data/scenes-paired

Captions and instructions are those of `dataset`; the vectors are the image tower's, of a picture in which all
that the caption says is true. The statistics in `embeddings/` are image statistics, as ReAlign needs them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL.Image import Image

from unicorn.command import run
from unicorn.config import Config
from unicorn.dataset import DatasetWriter, Embeddings, Part, UnicornDataset
from unicorn.encoder import EncoderSettings, ImageTower
from unicorn.errors import UserError
from unicorn.records import Caption
from unicorn.report.progress import track
from unicorn.report.table import facts_table, show
from unicorn.scenes.graph import DOMAINS, complete, keyed_random
from unicorn.scenes.reader import read
from unicorn.scenes.render import render

_BATCH = 256


def main(config: Config) -> None:
    """Make a dataset of paired image vectors of the world: training with images, to compare text alone with."""
    source, out = Path(config.dataset), Path(config.out or f"{config.dataset}-paired")
    write_paired(source, out, config.encoder)
    show(facts_table("Paired pictures", {"captions of": source, "dataset": out, "statistics": out / "embeddings"}))


def write_paired(source: Path, out: Path, encoder: EncoderSettings) -> None:
    """Write the captions and instructions of `source`, with vectors of pictures, to `out`; resumes.

    Raises UserError if `source` is unfinished, or was encoded in another space than `encoder`'s.
    """
    dataset = UnicornDataset.open(source)
    dataset.count(Part.INSTRUCTIONS)
    if dataset.space != encoder.space:
        raise UserError(
            f"{source} is encoded in {dataset.space}, and pictures would be in {encoder.space}. "
            "Run synthesize.py with this encoder first."
        )
    manifest = dataset.manifest
    tower = encoder.image_tower()
    with (
        DatasetWriter(source, manifest.block_size) as original,
        DatasetWriter(out, manifest.block_size) as paired,
    ):
        made_by = {part: manifest.parts[part].made_by for part in (Part.CAPTIONS, Part.INSTRUCTIONS)}
        captions_from = original.captions(made_by[Part.CAPTIONS])
        instructions_from = original.instructions(made_by[Part.INSTRUCTIONS])
        captions = paired.captions(made_by[Part.CAPTIONS])
        instructions = paired.instructions(made_by[Part.INSTRUCTIONS])
        vectors = paired.embeddings(encoder.space, {"vectors": "of the pictures that the captions describe"})
        blocks = captions_from.blocks
        for block in blocks:
            if not captions.finished(block):
                captions.write(block, captions_from.read(block))
            if not instructions.finished(block):
                instructions.write(block, instructions_from.read(block))
            if not vectors.finished(block):
                vectors.write(block, encode_pictures_of(captions_from.read(block), tower, dataset.dimension))
        for part in (captions, instructions, vectors):
            part.complete(len(blocks))


def encode_pictures_of(captions: Sequence[Caption], tower: ImageTower, dimension: int) -> Embeddings:
    """The vectors of one picture for each caption."""
    vectors = np.empty((len(captions), dimension), np.float32)
    batches = [list(range(start, len(captions)))[:_BATCH] for start in range(0, len(captions), _BATCH)]
    for rows in track(batches, "pictures", total=len(captions)):
        vectors[rows] = tower.encode([picture_of(captions[row]) for row in rows]).numpy()
    return Embeddings(ids=[caption.id for caption in captions], vectors=vectors)


def picture_of(caption: Caption) -> Image:
    """A picture in which all that the caption says is true; the rest is invented, keyed by its id."""
    facts = read(caption.text)
    if facts.domain is None and caption.domain in DOMAINS:
        facts = replace(facts, domain=caption.domain)
    rng = keyed_random("paired", caption.id)
    return render(complete(facts, rng), rng)


if __name__ == "__main__":
    run(main)
