"""Stage 3: dense captions become raw text vectors, encoded once, with the statistics of the training split.

The vectors are stored as the tower makes them; every transfer, stage and ablation starts from them.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from unicorn.dataset import DatasetWriter, Embeddings, Part
from unicorn.errors import UserError
from unicorn.records import Caption
from unicorn.report.progress import progress
from unicorn.synthesis.settings import SynthesisSettings
from unicorn.synthesis.stage import StageReport
from unicorn.transfer.statistics import UNIT_NORM_TOLERANCE

if TYPE_CHECKING:  # torch is loaded with the tower, and not before
    from unicorn.encoder import EncoderSettings, TextTower

_log = logging.getLogger(__name__)


def write_embeddings(writer: DatasetWriter, encoder: "EncoderSettings", settings: SynthesisSettings) -> StageReport:
    """Write the vectors of all captions; blocks that an earlier run has finished are kept.

    The tower is loaded only if there is something to encode. Raises UserError, naming the caption, for a
    vector that cannot be used.
    """
    began = time.monotonic()
    captions = writer.finished_captions()
    part = writer.embeddings(encoder.space, {"dimension": encoder.dimension})
    unfinished = [block for block in captions.blocks if not part.finished(block)]
    if unfinished:
        tower, encoded = encoder.text_tower(), captions.rows - part.rows
        with progress("embeddings", captions.rows) as advance:
            advance(part.rows)
            for block in unfinished:
                items = captions.read(block)
                vectors = encode(items, tower, encoder.dimension, settings.encode_batch, advance)
                part.write(block, Embeddings(ids=[item.id for item in items], vectors=vectors))
        if tower.cut:
            _log.warning(
                "%d of %d captions (%.1f%%) are longer than the %d tokens that the text tower reads, and were cut",
                *(tower.cut, encoded, 100 * tower.cut / encoded, tower.context),
            )
    part.complete(len(captions.blocks))
    return StageReport(
        stage=Part.EMBEDDINGS.value,
        written=part.rows,
        rejected=part.rejected,
        seconds=time.monotonic() - began,
    )


def encode(
    captions: Sequence[Caption],
    tower: "TextTower",
    dimension: int,
    batch: int,
    advance: Callable[[int], None],
) -> Float32[np.ndarray, "n d"]:
    """The captions' vectors, row by row. Captions of like length are encoded together, to save padding.

    Raises UserError, naming the caption, if a vector is of another length or norm, or holds a NaN.
    """
    vectors = np.empty((len(captions), dimension), dtype=np.float32)
    order = sorted(range(len(captions)), key=lambda row: len(captions[row].text))
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        encoded = tower.encode([captions[row].text for row in rows]).numpy()
        _check(encoded, [captions[row] for row in rows], dimension)
        vectors[rows] = encoded
        advance(len(rows))
    return vectors


def _check(vectors: Float32[np.ndarray, "n d"], captions: Sequence[Caption], dimension: int) -> None:
    if vectors.shape != (len(captions), dimension):
        raise UserError(
            f"the text tower made vectors of shape {vectors.shape} of {len(captions)} captions (the first is "
            f"{captions[0].id}), where {dimension} dimensions are expected. Mend the encoder's settings."
        )
    norms = np.linalg.norm(vectors, axis=1)
    bad = ~(np.abs(norms - 1) < UNIT_NORM_TOLERANCE)  # so that NaN is bad
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"the text tower made a vector of norm {norms[row]:.3f} of caption {captions[row].id}, where a "
            "finite one of norm 1 is expected. Try another precision, or leave the caption's seed out."
        )
