"""Pictures -> what the projector reads: an image tower, and the image side of the transfer. Saved with the model."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from jaxtyping import Float
from torch import Tensor

from unicorn.config import plain, settings_of
from unicorn.encoder.tower import EncoderSettings, FromCheckpoints, ImageTower
from unicorn.errors import UserError
from unicorn.files import make_folder
from unicorn.pictures.decoding import DecodingSettings, UnreadableError, as_seen
from unicorn.stamp import damaged, read_sealed, write_sealed
from unicorn.transfer import Statistics, Transfer, load_transfer
from unicorn.transfer.centring import CalibrationMean

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODER = "encoder.json"
TRANSFER = "transfer"
TOWERS = "towers"
CALIBRATION = "image_statistics"


@dataclass(frozen=True, kw_only=True)
class PictureEncoder:
    """An encoder, of which the image tower alone is loaded, and a transfer that was fitted in its space.

    `calibration` is the mean that is subtracted from image vectors, by transfers that subtract one.
    """

    encoder: EncoderSettings
    transfer: Transfer
    calibration: Statistics | None = None

    def encode(self, images: "Sequence[Image]") -> Float[Tensor, "n d"]:
        """Image vectors (float32, on the CPU), row by row those of `images`, as the model takes them.

        Raises UserError where a mean is needed and there is none, or a picture cannot be read.
        """
        centring = self.transfer.image_centring(self.calibration and CalibrationMean(self.calibration))
        seen = [_seen(number, image) for number, image in enumerate(images, 1)]
        return torch.from_numpy(centring.transform(self._tower.encode(seen).numpy()))

    @cached_property
    def _tower(self) -> ImageTower:
        return self.encoder.image_tower()

    def save(self, folder: Path) -> None:
        """Write the encoder's settings, the transfer, and the calibration if there is one, each with a checksum."""
        write_sealed(folder / ENCODER, {"space": self.transfer.space, "encoder": plain(self.encoder)})
        self.transfer.save(folder / TRANSFER)
        if self.calibration:
            calibrate(folder, self.calibration)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote. It imports the classes that the files name, which are of packages installed here.

        Raises UserError, naming the file, if one is damaged, or if the towers here are not those of training.
        """
        remedy = "Restore it from a copy, or train again."
        path = folder / ENCODER
        try:
            described = read_sealed(path, remedy)
        except FileNotFoundError as error:
            raise damaged(path, "is missing", remedy) from error
        try:
            encoder = cast("EncoderSettings", settings_of(described["encoder"]))
        except UserError as error:
            raise UserError(f"{path} names an encoder that cannot be made here: {error}") from error
        copied = {tower.name: str(tower) for tower in sorted(folder.glob(f"{TOWERS}/*"))}
        if not copied and encoder.space != described["space"]:
            raise UserError(
                f"the model in {folder.parent} was trained in {described['space']}, and the encoder that it names is "
                f"{encoder.space} here. Install the version that it was trained with, or export it with --towers there."
            )
        calibrated = (folder / CALIBRATION / "statistics.json").exists()
        return cls(
            encoder=replace(cast("Any", encoder), **copied),
            transfer=load_transfer(folder / TRANSFER),
            calibration=Statistics.load(folder / CALIBRATION) if calibrated else None,
        )

    def copy_towers(self, folder: Path) -> None:
        """Copy the checkpoints that the image tower is read from, if it is read from any, to be found by `load`.

        What `save` wrote there then names no folder of this machine any more. Raises UserError where a checkpoint
        cannot be fetched.
        """
        if isinstance(self.encoder, FromCheckpoints):
            for setting, checkpoint in self.encoder.image_checkpoints().items():
                target = folder / TOWERS / setting
                make_folder(target)
                for path in checkpoint.files():
                    shutil.copyfile(path, target / path.name)
            named = {key: _without_place(value) for key, value in plain(self.encoder).items()}
            write_sealed(folder / ENCODER, {"space": self.transfer.space, "encoder": named})


def calibrate(folder: Path, calibration: Statistics) -> None:
    """Have the encoder that is saved in `folder` subtract this mean.

    Its files bear their own checksums. Killed on the way it leaves an encoder without any mean, never a wrong one.
    """
    (folder / CALIBRATION / "statistics.json").unlink(missing_ok=True)
    replace(calibration, covariance=None).save(folder / CALIBRATION)


def _without_place(value: Any) -> Any:
    """Of a folder its name."""
    return Path(value).name if isinstance(value, str) and Path(value).expanduser().is_dir() else value


def _seen(number: int, image: "Image") -> "Image":
    try:
        return as_seen(image, DecodingSettings())
    except UnreadableError as error:
        raise UserError(f"picture {number} cannot be read: {error}. Ask about another one.") from error
