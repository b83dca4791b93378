"""How benchmarks are run, whichever they are."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class EvaluationSettings:
    """What all tasks of one evaluation share.

    `calibration` is a folder of image statistics, as an earlier evaluation saves them in `image_statistics`;
    without it, images are centred on the mean of the images under test, as in the paper.
    """

    calibration: str | None = None
    device: str = "auto"  # that the model answers on; auto: the accelerator if there is one
    batch_size: int = 256
    max_new_tokens: int = 32
    samples: int = 20  # shown in the report
