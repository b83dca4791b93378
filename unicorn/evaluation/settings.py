"""How benchmarks are run, whichever they are."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from unicorn.errors import UserError
from unicorn.transfer.centring import NoCentring
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, Transfer


class Centring(StrEnum):
    """Which mean is subtracted from image vectors, by transfers that subtract one."""

    test_set = "test_set"
    calibration = "calibration"
    none = "none"


@dataclass(kw_only=True)
class EvaluationSettings:
    """What all tasks of one evaluation share.

    `centring` on the mean of the images under test is the paper's; `calibration` names a folder of image statistics,
    as an earlier evaluation saves them in `image_statistics`, for `centring=calibration`.
    """

    centring: Centring = Centring.test_set
    calibration: str | None = None
    device: str = "auto"  # that the model answers on; auto: the accelerator if there is one
    batch_size: int = 256
    max_new_tokens: int = 32
    samples: int = 20  # shown in the report

    def image_centring(self, transfer: Transfer) -> ImageCentring:
        """What is done to the images of one task. Raises UserError if a calibration is chosen and none is named."""
        match self.centring:
            case Centring.test_set:
                return transfer.image_centring()
            case Centring.none:
                return NoCentring()
            case Centring.calibration:
                if self.calibration is None:
                    raise UserError(
                        "evaluation.centring=calibration needs statistics of images: set image_statistics= to a folder "
                        "of them, as an evaluation leaves in image_statistics/."
                    )
                return transfer.image_centring(Statistics.load(Path(self.calibration)))
