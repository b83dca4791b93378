"""The image sides of the transfers: what is done to real image vectors, and which mean is subtracted from them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from unicorn.errors import UserError
from unicorn.transfer.geometry import centred, unit
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageMean


class NoCentring:
    """Images go to the projector as they are, if they are of the space and normalisation of the text vectors."""

    def __init__(self, space: str, normalised: bool, mean: ImageMean | None = None) -> None:
        """A mean that is not subtracted must fit, too: it comes from where the images do.

        Raises UserError if it is not of the space and normalisation of the text vectors.
        """
        self._space = space
        self._normalised = normalised
        if mean is not None and (known := mean.statistics()):
            known.require(space, normalised)

    def observe(self, vectors: Float[np.ndarray, "n d"], domains: Sequence[str] | None = None) -> None:
        """Nothing is learned from images.

        Raises UserError if a vector is not finite, or not normalised where the text vectors are.
        """
        self._seen(vectors, domains)

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The vectors themselves, in float32."""
        return vectors.astype(np.float32)

    def statistics(self) -> Statistics | None:
        """None: no image statistics are used."""
        return None

    def _seen(self, vectors: Float[np.ndarray, "n d"], domains: Sequence[str] | None) -> Statistics:
        seen = Statistics.of(self._space, vectors, domains)
        seen.require(self._space, self._normalised)
        return seen


class MeanCentring(NoCentring):
    """n(v - mean(V)), whichever mean it is. Without `normalise`, n(x) = x."""

    def __init__(self, space: str, normalised: bool, mean: ImageMean | None, *, normalise: bool = True) -> None:
        """Without a mean it is that of the images observed.

        Raises UserError if the mean is not of the space and normalisation of the text vectors.
        """
        super().__init__(space, normalised, mean)
        self._mean = mean or ObservedMean()
        self._normalise = normalise

    def observe(self, vectors: Float[np.ndarray, "n d"], domains: Sequence[str] | None = None) -> None:
        """Show images to the mean.

        Raises UserError if a vector is not finite, or not normalised where the text vectors are.
        """
        self._mean.observe(self._seen(vectors, domains))

    def transform(self, vectors: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """The vectors, centred, and of unit norm where asked for. Raises UserError if there is no mean to subtract."""
        shifted = centred(vectors, self._mean.of(vectors))
        return unit(shifted) if self._normalise else shifted

    def statistics(self) -> Statistics | None:
        """The statistics on which the mean rests; None before the first image."""
        return self._mean.statistics()


class ObservedMean:
    """The mean of all images under test, which are gone through before the first is asked about; arXiv 2503.22655."""

    def __init__(self) -> None:
        self._seen: Statistics | None = None

    def observe(self, seen: Statistics) -> None:
        """They are part of the mean."""
        self._seen = self._seen.merge(seen) if self._seen else seen

    def of(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "1 d"]:
        """One mean for all. Raises UserError if there is none, or it is every image itself."""
        if self._seen is None:
            raise UserError(
                "this model subtracts the mean of image vectors, and none is known. Calibrate it: "
                "`python evaluate.py run=...` on a set of images saves their mean in the run."
            )
        if self._seen.trace == 0:
            raise UserError(
                f"evaluation.centring=test_set: the images under test ({self._seen.count:,}) have one vector, which "
                "less their mean is zero. Ask about others, too, or set evaluation.centring=calibration and "
                "image_statistics=."
            )
        return self._seen.mean[np.newaxis]

    def statistics(self) -> Statistics | None:
        """Those of the images observed."""
        return self._seen


class CalibrationMean:
    """The mean of a calibration set, so that one picture can be asked about."""

    def __init__(self, calibration: Statistics) -> None:
        self._calibration = calibration

    def observe(self, seen: Statistics) -> None:
        """The images under test do not move it."""

    def of(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "#n d"]:
        """One mean for all."""
        return self._calibration.mean[np.newaxis]

    def statistics(self) -> Statistics:
        """Those of the calibration set."""
        return self._calibration


class RunningMean(CalibrationMean):
    """An estimate that starts from a calibration set's mean and follows the stream: m <- (1 - r) m + r v.

    The `forgetting` rate r, below 1, is the weight of the newest picture; after ln 2 / r more it weighs half. On a
    stream that does not change the estimate wavers about its mean with the variance r / (2 - r) of one picture
    (Roberts, 1959).
    """

    def __init__(self, calibration: Statistics, forgetting: float) -> None:
        super().__init__(calibration)
        self._forgetting = forgetting
        self._mean = calibration.mean

    def of(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """The estimate as it is when each picture, in their order, has become part of it."""
        means = np.empty(vectors.shape)
        for vector, mean in zip(vectors, means, strict=True):
            mean[:] = self._mean + self._forgetting * (vector - self._mean)
            self._mean = mean
        return means


class DomainMeans(CalibrationMean):
    """Of the domains of a calibration set, the mean that is nearest to each picture."""

    def __init__(self, calibration: Statistics) -> None:
        """Raises UserError if the calibration set came without domains."""
        super().__init__(calibration)
        if not calibration.domain_mean:
            raise UserError(
                "evaluation.centring=domain needs means by domain, and these image statistics have none. Make them "
                "from pictures with domains: `python evaluate.py task=statistics`."
            )
        self._means = np.array([*calibration.domain_mean.values()])

    def of(self, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """The nearest mean of each, by Euclid."""
        # |v - m|^2 less |v|^2, which is the same for every mean.
        distances = np.vecdot(self._means, self._means) - 2 * vectors.astype(np.float64) @ self._means.T
        return self._means[distances.argmin(axis=1)]
