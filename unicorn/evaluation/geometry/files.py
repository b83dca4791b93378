"""The geometry of vectors in files, which need no run, no tower and no pictures."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from unicorn.dataset.vectors import read_vectors
from unicorn.errors import UserError
from unicorn.evaluation.geometry.analysis import Geometry
from unicorn.evaluation.geometry.views import Side
from unicorn.evaluation.task import Findings
from unicorn.transfer.precision import widened_blocks
from unicorn.transfer.statistics import UNIT_NORM_TOLERANCE
from unicorn.transfer.transfer import TransferSettings

_ROWS_AT_ONCE = 1024


class FileGeometry:
    """Two files of vectors, raw and under each transfer; they come without domains."""

    def __init__(self, geometry: Geometry, text: Path, image: Path) -> None:
        self._geometry = geometry
        self._text = text
        self._image = image

    def findings(self, transfer: TransferSettings) -> Findings:
        """What the geometry finds; vectors that are not of unit norm are scaled to it, which the report says.

        Raises UserError if a file cannot be read, the two are of different dimensions, or a vector has no direction.
        """
        text, image = read_vectors(self._text), read_vectors(self._image)
        if text.shape[1] != image.shape[1]:
            raise UserError(
                f"{self._text} has vectors of {text.shape[1]} dimensions and {self._image} of {image.shape[1]}: name "
                "files of one encoder."
            )
        return self._geometry.measure(_side(self._text, text), _side(self._image, image), (), transfer)


def _side(path: Path, vectors: Float[np.ndarray, "n d"]) -> Side:
    """The vectors of a file, to be scaled if the norm of one is not 1."""
    scaled, row = False, 0
    for few in widened_blocks(vectors, _ROWS_AT_ONCE):
        with np.errstate(over="ignore"):  # what is too long for float32 is refused below
            norms = np.sqrt(np.vecdot(few, few))
        directed = np.isfinite(norms) & (norms > 0)
        if not directed.all():
            bad = int(np.argmin(directed))
            raise UserError(f"{path}, row {row + bad}: a vector of norm {norms[bad]} has no direction. Mend the file.")
        scaled |= bool((np.abs(norms - 1) >= UNIT_NORM_TOLERANCE).any())
        row += len(few)
    return Side(name=str(path), vectors=vectors, scaled=scaled)
