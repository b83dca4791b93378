"""An encoder whose image tower tells the mean colour of a picture, and a model that reads it, saved as by a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.evaluation.tiny_model import tiny_model
from unicorn.encoder import EncoderSettings
from unicorn.hub.picture_encoder import PictureEncoder
from unicorn.hub.processor import UnicornProcessor
from unicorn.hub.saved import save_model
from unicorn.transfer import Statistics
from unicorn.transfer.mean_shift import MeanShiftSettings

RED, GREEN, GREY = (200, 10, 20), (20, 180, 60), (90, 90, 90)


@dataclass(kw_only=True)
class ColourSettings:
    """`scale` is nothing but a setting that has to come back."""

    scale: float = 1.0
    space: str = "colours"
    dimension: int = 3

    def text_tower(self) -> None:
        raise AssertionError("no text is encoded to look at a picture")

    def image_tower(self) -> "ColourTower":
        return ColourTower()


class ColourTower:
    """Unit vectors of the colours."""

    def encode(self, images: Sequence[Image.Image]) -> torch.Tensor:
        colours = np.stack([np.asarray(image.convert("RGB"), np.float32).mean(axis=(0, 1)) for image in images])
        return torch.nn.functional.normalize(torch.from_numpy(colours), dim=-1)


def picture(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (4, 3), colour)


def statistics(*colours: tuple[int, int, int]) -> Statistics:
    """Of pictures of these colours."""
    return Statistics.of("colours", ColourTower().encode([picture(colour) for colour in colours]).numpy())


def picture_encoder(calibration: Statistics | None = None, encoder: EncoderSettings | None = None) -> PictureEncoder:
    """Mean shift of vectors in the encoder's space."""
    encoder = encoder or ColourSettings(scale=0.5)
    vectors = np.eye(encoder.dimension, dtype=np.float32)
    transfer = MeanShiftSettings().fit(Statistics.of(encoder.space, vectors), [vectors])
    return PictureEncoder(encoder=encoder, transfer=transfer, calibration=calibration)


def processor(calibration: Statistics | None = None) -> UnicornProcessor:
    model, tokenizer = tiny_model()
    return UnicornProcessor(tokenizer, model.config.visual_tokens, picture_encoder(calibration))


def save(folder: Path, calibration: Statistics | None = None, encoder: EncoderSettings | None = None) -> Path:
    """The folder of a saved model, as train.py leaves it in a run."""
    encoder = encoder or ColourSettings(scale=0.5)
    model, tokenizer = tiny_model(dimension=encoder.dimension)
    eyes = picture_encoder(calibration, encoder)
    save_model(folder, model, UnicornProcessor(tokenizer, model.config.visual_tokens, eyes))
    return folder
