"""Stage 3 for who has the vectors already: a file of them becomes the embeddings of the captions."""

import logging
import time
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int64

from unicorn.dataset import DatasetWriter, Embeddings, Part
from unicorn.dataset.vectors import read_ids, read_vectors
from unicorn.errors import UserError
from unicorn.report.progress import progress
from unicorn.stamp import Stamp
from unicorn.synthesis.settings import VectorsSettings
from unicorn.synthesis.stage import StageReport
from unicorn.transfer.statistics import UNIT_NORM_TOLERANCE

_log = logging.getLogger(__name__)

Rows = Int64[np.ndarray, " n"]
Norms = Float32[np.ndarray, " n"]


def import_embeddings(writer: DatasetWriter, settings: VectorsSettings) -> StageReport:
    """Write the vectors of all captions out of a file, scaled to norm 1; blocks that are finished are kept.

    Rows of a .parquet are found by id, those of a .npy or .safetensors are in the order of the captions. Raises
    UserError, naming the file and the caption, if one has no vector, or one that cannot be scaled.
    """
    began = time.monotonic()
    path = Path(settings.path)
    vectors, ids = read_vectors(path), read_ids(path)
    captions = writer.finished_captions()
    if ids is None and len(vectors) != captions.rows:
        raise UserError(
            f"{path} holds {len(vectors)} vectors, and there are {captions.rows} captions. Without ids there must be "
            "one for each, in their order; a .parquet with a column 'id' may have more, in any order."
        )
    made_by = {"dimension": vectors.shape[1], "imported": Stamp.of(path).xxh3_128}
    row_of = {name: row for row, name in enumerate(ids)} if ids is not None else {}
    rows, norms = dict[int, Rows](), dict[int, Norms]()
    first = 0
    for block in captions.blocks:  # all are checked before the first is written
        names = [caption.id for caption in captions.read(block)]
        rows[block] = np.arange(first, first + len(names)) if ids is None else _find(names, row_of, path)
        norms[block] = _norms(vectors[rows[block]], names, path)
        first += len(names)
    part = writer.embeddings(settings.encoder, made_by)
    with progress("embeddings", captions.rows) as advance:
        for block in captions.blocks:
            if not part.finished(block):
                names = [caption.id for caption in captions.read(block)]
                scaled = vectors[rows[block]].astype(np.float32) / norms[block][:, None]
                part.write(block, Embeddings(ids=names, vectors=scaled))
            advance(len(rows[block]))
    part.complete(len(captions.blocks))
    if other := sum(int((np.abs(each - 1) >= UNIT_NORM_TOLERANCE).sum()) for each in norms.values()):
        _log.warning("%d of the %d vectors in %s were not of norm 1, and were scaled to it", other, first, path)
    return StageReport(
        stage=Part.EMBEDDINGS.value, written=part.rows, rejected=part.rejected, seconds=time.monotonic() - began
    )


def _find(names: list[str], row_of: dict[str, int], path: Path) -> Rows:
    if missing := [name for name in names if name not in row_of]:
        raise UserError(
            f"{path} has no vector of caption {missing[0]} (and {len(missing) - 1} more of its block). "
            "Add a row under each caption's id."
        )
    return np.array([row_of[name] for name in names])


def _norms(vectors: Float[np.ndarray, "n d"], names: list[str], path: Path) -> Norms:
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1).astype(np.float32)
    bad = ~(np.isfinite(norms) & (norms > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{path}: the vector of caption {names[row]} has norm {norms[row]}, which points nowhere. Mend it."
        )
    return norms
