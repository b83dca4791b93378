"""The image sides of the transfers."""

import numpy as np
from jaxtyping import Float, Float32

from unicorn.errors import UserError
from unicorn.transfer.geometry import centred, unit
from unicorn.transfer.statistics import Statistics


class NoCentring:
    """Images go to the projector as they are."""

    def observe(self, vectors: Float[np.ndarray, "n d"]) -> None:
        """Nothing is learned from images."""

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The vectors themselves, in float32."""
        return vectors.astype(np.float32)

    def statistics(self) -> Statistics | None:
        """None: no image statistics are used."""
        return None


class MeanCentring:
    """n(v - mean(V)), with the mean of a calibration set or, without one, of all images observed so far.

    Without `normalise`, n(x) = x.
    """

    def __init__(self, space: str, normalised: bool, calibration: Statistics | None, *, normalise: bool = True) -> None:
        """Raises UserError if the calibration is not of the space and normalisation of the text vectors."""
        if calibration is not None:
            calibration.require(space, normalised)
        self._space = space
        self._normalised = normalised
        self._normalise = normalise
        self._calibrated = calibration is not None
        self._images = calibration

    def observe(self, vectors: Float[np.ndarray, "n d"]) -> None:
        """Let the images move the mean, unless it is a calibration set's.

        Raises UserError if a vector is not finite, or not normalised where the text vectors are.
        """
        if self._calibrated:
            return
        seen = Statistics.of(self._space, vectors)
        images = self._images.merge(seen) if self._images else seen
        images.require(self._space, self._normalised)
        self._images = images

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The vectors, centred, and of unit norm where asked for. Raises UserError if there is no mean to subtract."""
        if self._images is None:
            raise UserError(
                "this model subtracts the mean of image vectors, and none is known. Calibrate it: "
                "`python evaluate.py run=...` on a set of images saves their mean in the run."
            )
        shifted = centred(vectors, self._images.mean)
        return unit(shifted) if self._normalise else shifted

    def statistics(self) -> Statistics | None:
        """The statistics whose mean is subtracted; None before the first image."""
        return self._images
