"""Stage 3: dense captions become raw text vectors, encoded once, with the statistics of the training split.

The vectors are stored as the tower makes them; every transfer, stage and ablation starts from them.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from unicorn.dataset import DatasetWriter, Embeddings, Part
from unicorn.dataset.hand_ins import HandIns
from unicorn.dataset.manifest import Manifest
from unicorn.dataset.writer import read_captions
from unicorn.errors import UserError
from unicorn.records import Caption
from unicorn.report.progress import progress
from unicorn.synthesis.ranks import Ranks
from unicorn.synthesis.settings import SynthesisSettings
from unicorn.synthesis.stage import StageReport
from unicorn.transfer.statistics import UNIT_NORM_TOLERANCE

if TYPE_CHECKING:  # torch is loaded with the tower, and not before
    from unicorn.encoder import EncoderSettings, TextTower

ALONE = Ranks()

_log = logging.getLogger(__name__)


def write_embeddings(
    writer: DatasetWriter, encoder: "EncoderSettings", settings: SynthesisSettings, ranks: Ranks = ALONE
) -> StageReport:
    """Write the vectors of all captions; blocks that an earlier run has finished are kept.

    Of several processes this is the first: it encodes its share, and takes what the others hand in. The tower is
    loaded only if there is something to encode. Raises UserError, naming the caption, for a vector that cannot be used,
    or, naming the rank, for a process that has failed or fallen silent.
    """
    began = time.monotonic()
    captions = writer.finished_captions()
    made_by = encoder.made_by
    part = writer.embeddings(encoder.space, made_by)
    handed_in = writer.handed_in(encoder.space, made_by)
    unfinished = [block for block in captions.blocks if not part.finished(block)]
    share = _Share(encoder, settings)
    with progress("embeddings", captions.rows) as advance:
        advance(part.rows)
        for block in filter(ranks.mine, unfinished):
            part.write(block, share.encode(captions.read(block), advance))
        for block in unfinished:
            if not ranks.mine(block):
                content = handed_in.take(block, ranks.owner(block))
                part.write(block, content)
                advance(len(content))
    share.tell_of_cuts()
    part.complete(len(captions.blocks))
    handed_in.clear()
    return StageReport(
        stage=Part.EMBEDDINGS.value,
        written=part.rows,
        rejected=part.rejected,
        seconds=time.monotonic() - began,
    )


def hand_in_embeddings(
    dataset: Path, encoder: "EncoderSettings", settings: SynthesisSettings, ranks: Ranks
) -> StageReport:
    """Encode this rank's share of the blocks that are not there yet, for the first to take. Raises as the first."""
    began = time.monotonic()
    manifest = Manifest.load(dataset)
    captions = read_captions(dataset, manifest)
    handed_in = HandIns(dataset, manifest, encoder.space, encoder.made_by)
    finished = manifest.parts[Part.EMBEDDINGS].shards if Part.EMBEDDINGS in manifest.parts else {}
    unfinished = [block for block in captions.blocks if block not in finished and not handed_in.there(block)]
    share, written = _Share(encoder, settings), 0
    if mine := list(filter(ranks.mine, unfinished)):
        with handed_in.working(ranks.rank) as advance:
            for block in mine:
                content = share.encode(captions.read(block), advance)
                handed_in.give(block, content)
                written += len(content)
    share.tell_of_cuts()
    return StageReport(
        stage=Part.EMBEDDINGS.value, written=written, rejected=Counter(), seconds=time.monotonic() - began
    )


class _Share:
    """The blocks that one process encodes. The tower is loaded with the first."""

    def __init__(self, encoder: "EncoderSettings", settings: SynthesisSettings) -> None:
        self._encoder = encoder
        self._batch = settings.encode_batch
        self._tower: TextTower | None = None
        self._encoded = 0

    def encode(self, captions: Sequence[Caption], advance: Callable[[int], None]) -> Embeddings:
        self._tower = self._tower or self._encoder.text_tower()
        vectors = encode(captions, self._tower, self._encoder.dimension, self._batch, advance)
        self._encoded += len(captions)
        return Embeddings(ids=[caption.id for caption in captions], vectors=vectors)

    def tell_of_cuts(self) -> None:
        if self._tower is not None and (cut := self._tower.cut):
            _log.warning(
                "%d of %d captions (%.1f%%) are longer than the %d tokens that the text tower reads, and were cut",
                *(cut, self._encoded, 100 * cut / self._encoded, self._tower.context),
            )


def encode(
    captions: Sequence[Caption],
    tower: "TextTower",
    dimension: int,
    batch: int,
    advance: Callable[[int], None],
) -> Float32[np.ndarray, "n d"]:
    """The captions' vectors, row by row. Those of like length are encoded together, to save padding; long ones first.

    Raises UserError, naming the caption, if a vector is of another length or norm, or holds a NaN.
    """
    vectors = np.empty((len(captions), dimension), dtype=np.float32)
    order = sorted(range(len(captions)), key=lambda row: -len(captions[row].text))
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
