"""How benchmarks are run, whichever they are."""

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from unicorn.errors import UserError
from unicorn.transfer.centring import CalibrationMean, DomainMeans, NoCentring, ObservedMean, RunningMean
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, Transfer

_log = logging.getLogger(__name__)


class Centring(StrEnum):
    """Which mean is subtracted from image vectors, by transfers that subtract one."""

    test_set = "test_set"
    calibration = "calibration"
    running = "running"
    domain = "domain"
    none = "none"


@dataclass(kw_only=True)
class EvaluationSettings:
    """What all tasks of one evaluation share.

    `centring` on the mean of the images under test is the paper's; the others but `none` start from a calibration set:
    `calibration` names a folder of image statistics, as an earlier evaluation saves them in `image_statistics`.
    """

    centring: Centring = Centring.test_set
    calibration: str | None = None
    forgetting: float = 0.01  # centring=running: the weight of the newest picture; half of it is left 69 pictures later
    device: str = "auto"  # that the model answers on; auto: the accelerator if there is one
    batch_size: int = 256
    max_new_tokens: int = 32
    samples: int = 20  # shown in the report

    def __post_init__(self) -> None:
        if not 0 < self.forgetting < 1:
            raise UserError(f"evaluation.forgetting={self.forgetting}: must lie above 0 and below 1.")

    def image_centring(self, transfer: Transfer) -> ImageCentring:
        """What is done to the images of one task.

        Raises UserError if a calibration is needed and none is named, or it does not fit.
        """
        match self.centring:
            case Centring.test_set:
                return transfer.image_centring(ObservedMean())
            case Centring.calibration:
                mean = CalibrationMean(self._calibration())
            case Centring.running:
                mean = RunningMean(self._calibration(), self.forgetting)
            case Centring.domain:
                mean = DomainMeans(self._calibration())
            case Centring.none:
                return NoCentring(transfer.space, transfer.normalised)
        centring = transfer.image_centring(mean)
        if centring.statistics() is None:
            _log.warning("evaluation.centring=%s changes nothing: this transfer subtracts no mean", self.centring)
        return centring

    def _calibration(self) -> Statistics:
        if self.calibration is None:
            raise UserError(
                f"evaluation.centring={self.centring} needs statistics of images: set image_statistics= to a folder "
                "of them, as an evaluation leaves in image_statistics/."
            )
        return Statistics.load(Path(self.calibration))
